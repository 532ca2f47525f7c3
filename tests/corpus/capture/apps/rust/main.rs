//! What an app logs in a day, through the Rust library named by the first argument.
use tracing::{debug, error, info, info_span, instrument, trace, warn};

#[instrument]
fn place(order: u32) {
    info!(total = order * 9, "order placed");
    debug!("cache miss for key user:{order}");
    if order % 3 == 0 {
        warn!(item = order, left = 2, "stock is low: ERROR margin");
    }
    if order % 4 == 0 {
        let _inner = info_span!("pay", card = "visa").entered();
        error!(reason = "insufficient funds", "payment declined");
    }
    trace!(target: "shop::db", "SELECT * FROM orders WHERE id = {order}");
}

fn traced() {
    for order in 1..=9 {
        place(order);
    }
    info!(user = %"ann", "said \"é ünïcode\"");
    info!("no fields at all");
    let _ = std::panic::catch_unwind(|| None::<u32>.unwrap());
}

fn main() {
    let all = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE);
    match std::env::args().nth(1).as_deref() {
        Some("full") => (all.with_ansi(false).init(), traced()).1,
        Some("ansi") => (all.with_ansi(true).init(), traced()).1,
        Some("compact") => (all.with_ansi(false).compact().init(), traced()).1,
        Some("json") => (all.json().init(), traced()).1,
        Some("pretty") => (all.with_ansi(false).pretty().init(), traced()).1,
        _ => {
            env_logger::Builder::new().filter_level(log::LevelFilter::Trace).init();
            for order in 1..=9 {
                log::info!("order {order} placed");
                log::debug!("cache miss for key user:{order}");
                if order % 3 == 0 {
                    log::warn!("stock of item {order} is low: ERROR margin 2");
                }
                if order % 4 == 0 {
                    log::error!("payment {order} declined: insufficient funds");
                }
                log::trace!(target: "shop::db", "SELECT 1");
            }
            panic!("cannot reach broker");
        }
    }
}
