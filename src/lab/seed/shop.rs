//! What runs in the fleet: two shops' worth of workloads, with the troubles that they have.

use crate::lab::apps::REGISTRY;

/// A workload in one line.
#[derive(Debug, Clone, Copy)]
pub(super) struct Workload {
    pub namespace: &'static str,
    pub name: &'static str,
    pub sort: Sort,
    pub replicas: i64,
    /// The image without the registry, with its tag.
    pub image: &'static str,
    pub port: i64,
    /// Request and limit of memory, in MiB.
    pub memory: (i64, i64),
    /// Request and limit of CPU, in millicores.
    pub cpu: (i64, i64),
    pub tier: &'static str,
    pub trouble: Trouble,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    Deployment,
    StatefulSet,
    DaemonSet,
}

/// What is wrong with it; each follows from its settings, and goes away when they are mended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    None,
    /// `DATABASE_URL` is not set: it crashes.
    NoDatabase,
    /// Asks for more processors than any node has.
    TooLarge,
    /// Its readiness check asks the wrong path.
    WrongProbe,
    /// Its init container waits for a service that is not there.
    InitWaits,
    /// Refers to a Secret that is not there.
    NoSecret,
    /// Labels and logs that try to harm a terminal.
    Hostile,
    /// A second container beside the first.
    Sidecar,
}

const fn deployment(
    namespace: &'static str,
    name: &'static str,
    replicas: i64,
    image: &'static str,
    port: i64,
    memory: (i64, i64),
    tier: &'static str,
) -> Workload {
    Workload {
        namespace,
        name,
        sort: Sort::Deployment,
        replicas,
        image,
        port,
        memory,
        cpu: (100, 500),
        tier,
        trouble: Trouble::None,
    }
}

const fn stateful(
    namespace: &'static str,
    name: &'static str,
    replicas: i64,
    image: &'static str,
    port: i64,
    memory: (i64, i64),
) -> Workload {
    Workload { sort: Sort::StatefulSet, ..deployment(namespace, name, replicas, image, port, memory, "data") }
}

const fn daemon(namespace: &'static str, name: &'static str, image: &'static str, port: i64) -> Workload {
    Workload {
        sort: Sort::DaemonSet,
        cpu: (50, 200),
        ..deployment(namespace, name, 0, image, port, (32, 128), "node")
    }
}

const fn troubled(workload: Workload, trouble: Trouble) -> Workload {
    Workload { trouble, ..workload }
}

/// What both clusters have.
const COMMON: &[Workload] = &[
    deployment("kube-system", "coredns", 2, "kube/coredns:1.3.0", 53, (70, 170), "system"),
    deployment("kube-system", "metrics-server", 1, "kube/metrics-server:1.2.0", 10250, (80, 200), "system"),
    daemon("kube-system", "kube-proxy", "kube/kube-proxy:1.3.0", 10256),
    daemon("logging", "fluent-bit", "ops/fluent-bit:2.0.0", 2020),
    daemon("monitoring", "node-exporter", "ops/node-exporter:1.2.3", 9100),
    deployment("monitoring", "grafana", 1, "ops/grafana:2.0.0", 3000, (128, 256), "ops"),
    stateful("monitoring", "prometheus", 1, "ops/prometheus:2.0.0", 9090, (800, 1536)),
    deployment("ingress", "ingress-nginx", 3, "ops/ingress-nginx:1.3.0", 443, (128, 512), "edge"),
    deployment("cert-manager", "cert-manager", 1, "ops/cert-manager:1.2.3", 9402, (64, 256), "ops"),
];

const HARBOUR: &[Workload] = &[
    troubled(deployment("shop", "web", 24, "shop/web:1.2.3", 8080, (96, 192), "frontend"), Trouble::Sidecar),
    deployment("shop", "api", 18, "shop/api:2.0.0", 8080, (192, 384), "backend"),
    deployment("shop", "cart", 12, "shop/cart:1.2.3", 8080, (128, 256), "backend"),
    troubled(
        deployment("shop", "checkout", 3, "shop/checkout:1.2.3", 8080, (160, 320), "backend"),
        Trouble::NoDatabase,
    ),
    troubled(
        deployment("shop", "catalog", 4, "shop/catalog:1.3.0", 8080, (224, 448), "backend"),
        Trouble::WrongProbe,
    ),
    deployment("shop", "search", 10, "shop/search:1.2.2", 9200, (400, 800), "backend"),
    deployment("shop", "thumbnailer", 2, "shop/thumbnailer:1.2.3", 8080, (128, 256), "backend"),
    // 1.2.4 was never pushed.
    deployment("shop", "recommender", 2, "shop/recommender:1.2.4", 8080, (512, 1024), "backend"),
    troubled(
        Workload {
            cpu: (64_000, 64_000),
            ..deployment("shop", "training", 2, "shop/recommender:1.2.3", 8080, (4096, 8192), "batch")
        },
        Trouble::TooLarge,
    ),
    troubled(
        deployment("shop", "guestbook", 1, "shop/guestbook:1.2.3", 8080, (64, 128), "frontend"),
        Trouble::Hostile,
    ),
    deployment("shop", "worker", 16, "shop/worker:1.2.3", 8080, (160, 320), "batch"),
    deployment("shop", "mailer", 3, "shop/mailer:1.1.0", 8080, (96, 192), "backend"),
    stateful("shop", "redis", 3, "data/redis:2.0.0", 6379, (96, 256)),
    deployment("shop-staging", "web", 4, "shop/web:1.3.0", 8080, (96, 192), "frontend"),
    deployment("shop-staging", "api", 4, "shop/api:2.0.0", 8080, (192, 384), "backend"),
    deployment("shop-staging", "cart", 2, "shop/cart:1.3.0", 8080, (128, 256), "backend"),
    troubled(
        deployment("shop-staging", "catalog", 2, "shop/catalog:2.0.0", 8080, (224, 448), "backend"),
        Trouble::InitWaits,
    ),
    deployment("payments", "payments", 12, "pay/payments:1.2.3", 8443, (192, 384), "backend"),
    deployment("payments", "fraud", 8, "pay/fraud:1.2.1", 8443, (320, 640), "backend"),
    deployment("payments", "ledger", 6, "pay/ledger:1.2.0", 8443, (256, 512), "backend"),
    troubled(
        deployment("payments", "invoice", 1, "pay/invoice:1.2.3", 8080, (96, 192), "backend"),
        Trouble::NoSecret,
    ),
    stateful("data", "postgres", 3, "data/postgres:1.2.3", 5432, (512, 1024)),
    stateful("data", "kafka", 3, "data/kafka:2.0.0", 9092, (1024, 2048)),
    deployment("data", "worker", 20, "shop/worker:1.3.0", 8080, (160, 320), "batch"),
];

const OFFSHORE: &[Workload] = &[
    deployment("warehouse", "tracker", 16, "ware/tracker:1.2.3", 8080, (128, 256), "backend"),
    deployment("warehouse", "routing", 10, "ware/routing:1.2.2", 8080, (288, 576), "backend"),
    deployment("warehouse", "scanner", 14, "ware/scanner:1.2.3", 8080, (80, 160), "edge"),
    deployment("warehouse", "dock", 6, "ware/dock:1.1.0", 8080, (64, 128), "frontend"),
    // One stock-taker takes more memory than it may.
    deployment("warehouse", "stocktake", 1, "shop/thumbnailer:1.2.3", 8080, (128, 192), "batch"),
    troubled(
        deployment("warehouse", "labels", 2, "ware/scanner:1.9.0", 8080, (80, 160), "edge"),
        Trouble::None,
    ),
    stateful("data", "postgres", 2, "data/postgres:1.2.3", 5432, (512, 1024)),
    stateful("data", "redis", 3, "data/redis:2.0.0", 6379, (96, 256)),
    deployment("data", "worker", 12, "shop/worker:1.2.3", 8080, (160, 320), "batch"),
    deployment("shipping", "api", 8, "shop/api:2.0.0", 8080, (192, 384), "backend"),
    troubled(
        deployment("shipping", "checkout", 2, "shop/checkout:1.3.0", 8080, (160, 320), "backend"),
        Trouble::NoDatabase,
    ),
];

/// A cron job in one line: namespace, name, schedule, image, seconds it takes, exit code.
pub(super) type Cron = (&'static str, &'static str, &'static str, &'static str, i64, i64);

const CRONS: &[Cron] = &[
    ("data", "backup", "*/15 * * * *", "data/postgres:1.2.3", 20, 0),
    ("monitoring", "smoke-test", "* * * * *", "ops/busybox:1.0.0", 6, 0),
];

const SHOP_CRONS: &[Cron] = &[
    ("shop", "price-import", "*/5 * * * *", "shop/worker:1.2.3", 15, 0),
    ("payments", "reconcile", "*/10 * * * *", "pay/ledger:1.2.0", 8, 1),
];

/// The workloads of a cluster.
pub(super) fn workloads(cluster: &str) -> Vec<Workload> {
    let own = if cluster == "offshore" { OFFSHORE } else { HARBOUR };
    COMMON.iter().chain(own).copied().collect()
}

pub(super) fn crons(cluster: &str) -> Vec<Cron> {
    let own: &[Cron] = if cluster == "offshore" { &[] } else { SHOP_CRONS };
    CRONS.iter().chain(own).copied().collect()
}

/// How many nodes do the work, beside the one that controls.
pub(super) fn nodes(cluster: &str) -> usize {
    if cluster == "offshore" { 4 } else { 8 }
}

pub(super) fn image(short: &str) -> String {
    format!("{REGISTRY}/{short}")
}
