//! One load at a time: order is kept.

use super::delivery::{Delivery, guarded};
use super::work::Work;
use super::{Checks, Driver, Ended, Feed, Limit, check};
use crate::event::Share;
use crate::sink::Sink;
use crate::telemetry::Demand;

impl<F: Feed> Driver<F> {
    pub(super) async fn serial(self) -> Ended {
        let (mut sink, mut checks, delivery) = self.split(Limit::fixed(1));
        let mut work = Work::default();
        let mut ended = Ended::Drained;
        while let Some((share, demand)) = next(&mut *sink, &mut checks, &delivery).await {
            if ended != Ended::Drained {
                delivery.refuse(share, demand, ended);
                continue;
            }
            work.clear();
            delivery.merge(&mut work, share, demand);
            let delivered = tokio::select! {
                biased;
                delivered = delivery.deliver(&mut *sink, &mut work, 0) => delivered,
                never = delivery.divert() => match never {},
            };
            if let Err(why) = delivered {
                ended = why;
            }
            if ended == Ended::Relieved {
                break;
            }
        }
        if ended != Ended::Closed {
            close(&mut *sink, &delivery).await;
        }
        ended
    }
}

/// The next share; answers checks while waiting. `None` at the end, and once a
/// successor takes over.
async fn next<F: Feed>(
    sink: &mut dyn Sink,
    checks: &mut Checks,
    delivery: &Delivery<F>,
) -> Option<(Share, Demand)> {
    loop {
        tokio::select! {
            biased;
            () = delivery.relieved() => return None,
            share = delivery.feed.pop() => return share,
            Some(answer) = checks.recv() => check(sink, &delivery.name, answer).await,
        }
    }
}

/// Closes a sink, unless a deadline passes first.
pub(super) async fn close<F: Feed>(sink: &mut dyn Sink, delivery: &Delivery<F>) {
    let closed = tokio::select! {
        biased;
        closed = guarded(sink.close()) => closed,
        () = delivery.passed() => return,
        () = delivery.relief_due() => return,
    };
    if let Err(error) = closed {
        tracing::error!(sink = &*delivery.name, "closing failed: {error}");
    }
}
