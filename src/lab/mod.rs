//! The embedded practice fleet: an API server on loopback.
