//! The session that everybody keeps: eight keys, about 540 bytes as MessagePack.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct User {
    pub name: String,
    pub mail: String,
    pub roles: Vec<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Item {
    pub article: String,
    pub title: String,
    pub count: u32,
    pub price: u64,
}

// Made once: what it costs to make them is nobody's.
pub static USER: LazyLock<User> = LazyLock::new(|| User {
    name: "Ann Example".into(),
    mail: "ann@example.org".into(),
    roles: vec!["author".into(), "editor".into()],
});

pub static CART: LazyLock<Vec<Item>> = LazyLock::new(|| {
    let item = |n: u32| Item {
        article: format!("A-{}", 1000 + n),
        title: "a thing that somebody buys".into(),
        count: n,
        price: 1999,
    };
    (1..=5).map(item).collect()
});

/// Calls `$insert` for each key with its value.
#[macro_export]
macro_rules! values {
    ($insert:ident) => {
        $insert!("user", &*$crate::USER);
        $insert!("cart", &*$crate::CART);
        $insert!("visits", 1_u64);
        $insert!("theme", "dark");
        $insert!("locale", "en-GB");
        $insert!("zone", "Europe/London");
        $insert!("seen_banner", true);
        $insert!("last_search", "a red bicycle");
    };
}

/// A number that no session holds yet, so that each write changes something.
pub fn next_visit() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(10);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
