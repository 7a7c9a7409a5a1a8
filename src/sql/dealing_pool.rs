//! The memory of questions, of which those who deal rows to partitions are never refused any.
//! In: what parts of a plan ask for. Out: what a fair pool gives; to `RepartitionExec` all that it asks for.
//! It may spill, and then waits for itself for ever once two of its files are open (apache/datafusion#24883). The rows that it
//! holds are few, since whoever takes them is waiting; what it holds still counts, and the process has a bound of its own.

use std::fmt;

use datafusion::common::Result;
use datafusion::execution::memory_pool::{FairSpillPool, MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation};

/// A [`FairSpillPool`] that refuses nothing to those who deal rows, and divides the rest among the others.
#[derive(Debug)]
pub(super) struct DealingPool(FairSpillPool);

impl DealingPool {
    /// A pool of so many bytes.
    pub fn new(bytes_max: usize) -> DealingPool {
        DealingPool(FairSpillPool::new(bytes_max))
    }
}

/// True of an operator that deals rows to partitions.
fn deals(consumer: &MemoryConsumer) -> bool {
    consumer.name().starts_with("RepartitionExec")
}

impl fmt::Display for DealingPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl MemoryPool for DealingPool {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn register(&self, consumer: &MemoryConsumer) {
        if !deals(consumer) {
            self.0.register(consumer);
        }
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        if !deals(consumer) {
            self.0.unregister(consumer);
        }
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        self.0.grow(reservation, additional);
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        self.0.shrink(reservation, shrink);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        if deals(reservation.consumer()) {
            self.0.grow(reservation, additional);
            return Ok(());
        }
        self.0.try_grow(reservation, additional)
    }

    fn reserved(&self) -> usize {
        self.0.reserved()
    }

    fn memory_limit(&self) -> MemoryLimit {
        self.0.memory_limit()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn who_deals_is_never_refused_and_takes_no_share() {
        let pool: Arc<dyn MemoryPool> = Arc::new(DealingPool::new(100));
        let consumer = |name: &str| MemoryConsumer::new(name).with_can_spill(true).register(&pool);
        let (dealer, sorter) = (consumer("RepartitionExec[0]"), consumer("ExternalSorter[0]"));
        // Half of the pool would be its share if the dealer had one.
        sorter.try_grow(80).unwrap();
        dealer.try_grow(500).unwrap();
        assert_eq!(pool.reserved(), 580);
        assert!(sorter.try_grow(30).is_err());
        drop((dealer, sorter));
        assert_eq!(pool.reserved(), 0);
    }
}
