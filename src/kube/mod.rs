//! Kubernetes: many clusters at once, each with its own connection, discovery and watches.

/// Every cluster that the kubeconfig files name.
pub struct Clusters;
