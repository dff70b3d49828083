//! Event Processor Host: shares the partitions of an event hub between processes through leases.
//!
//! The parts that decide and the stores are here; the host itself comes next.
