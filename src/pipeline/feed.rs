//! A buffer's end at the driver.

use crate::buffer::Memory;
use crate::event::Share;
use crate::sink::driver::Feed;
use crate::telemetry::Demand;

impl Feed for Memory {
    async fn pop(&self) -> Option<(Share, Demand)> {
        Memory::pop(self).await
    }

    fn try_pop(&self) -> Option<(Share, Demand)> {
        Memory::try_pop(self)
    }

    fn push(&self, share: Share, demand: Demand) {
        Memory::push(self, share, demand);
    }

    fn put_back(&self, share: Share, demand: Demand) {
        Memory::put_back(self, share, demand);
    }
}
