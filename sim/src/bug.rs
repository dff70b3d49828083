//! Bugs that can be planted, to see that they are found.

/// A bug between the code under test and the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// The local fence is not looked at.
    SkipFence,
    /// A suspended machine trusts its monotonic clock.
    IgnoreClockJump,
    /// The store takes checkpoints of any token.
    CheckpointWithoutToken,
    /// The store takes checkpoints that are behind the stored one.
    CheckpointBackwards,
    /// A checkpoint says what is begun, not what is done.
    CheckpointAhead,
    /// Claims do not ask whether the lease changed since it was listed.
    NoCompare,
    /// Renewals do not name the token.
    RenewWithoutToken,
    /// A new owner keeps the epoch of the old one.
    EqualEpoch,
    /// The word of the broker that the partition was stolen is not heeded.
    IgnoreStolen,
    /// The word of the store that the lease was lost is not heeded.
    IgnoreLost,
    /// The lease is released first, and the handlers end later.
    ReleaseBeforeDrain,
    /// What was handled since the last checkpoint is forgotten at release.
    LoseDirtyCheckpoint,
    /// A host that stops keeps its leases.
    KeepLeases,
    /// A host that holds leases counts for ever.
    CountTheDead,
    /// Expiry is judged by the clock of the host.
    CompareWallClocks,
    /// A claim that failed is never tried again.
    ForgetFailedClaims,
    /// Only the first page of the list is read.
    FirstPageOnly,
    /// The host does not know its own leases in the list.
    StealFromItself,
    /// Renewals are later than the lease.
    RenewLate,
    /// A new owner begins at the end and not at the checkpoint.
    StartAtTheEnd,
    /// A partition is kept however long there is no receiver.
    KeepWithoutLink,
    /// A partition that is stolen again and again is taken again at once.
    NoHoldOff,
    /// Nobody is told that a partition is stolen again and again.
    NoWarning,
    /// Epochs follow the store alone: what was seen is forgotten, what the broker says not heeded.
    EpochFromTable,
    /// The partitions of the hub are asked for once.
    ForgetAdded,
    /// A host that finds no store does not scan any more.
    StoreGoneEndsScans,
    /// The host takes more than its maximum.
    IgnoreMaximum,
    /// The host says that its weight is 1 whatever it is.
    IgnoreWeight,
    /// A lease that is gone counts as a renewal that failed.
    IgnoreGone,
    /// The fence goes by the time of day.
    TrustWallClock,
    /// The lease is read again before a checkpoint is written, whoever has it.
    RefreshToken,
    /// What was stolen is attached again, with the next epoch.
    ReattachStolen,
    /// An ownership that ended is still counted as kept.
    ForgetPartition,
}

impl Bug {
    /// All of them, by name.
    pub const ALL: [(&str, Self); 33] = [
        ("skip-fence", Self::SkipFence),
        ("ignore-clock-jump", Self::IgnoreClockJump),
        ("checkpoint-without-token", Self::CheckpointWithoutToken),
        ("checkpoint-backwards", Self::CheckpointBackwards),
        ("checkpoint-ahead", Self::CheckpointAhead),
        ("no-compare", Self::NoCompare),
        ("renew-without-token", Self::RenewWithoutToken),
        ("equal-epoch", Self::EqualEpoch),
        ("ignore-stolen", Self::IgnoreStolen),
        ("ignore-lost", Self::IgnoreLost),
        ("release-before-drain", Self::ReleaseBeforeDrain),
        ("lose-dirty-checkpoint", Self::LoseDirtyCheckpoint),
        ("keep-leases", Self::KeepLeases),
        ("count-the-dead", Self::CountTheDead),
        ("compare-wall-clocks", Self::CompareWallClocks),
        ("forget-failed-claims", Self::ForgetFailedClaims),
        ("first-page-only", Self::FirstPageOnly),
        ("steal-from-itself", Self::StealFromItself),
        ("renew-late", Self::RenewLate),
        ("start-at-the-end", Self::StartAtTheEnd),
        ("keep-without-link", Self::KeepWithoutLink),
        ("no-hold-off", Self::NoHoldOff),
        ("no-warning", Self::NoWarning),
        ("epoch-from-table", Self::EpochFromTable),
        ("forget-added", Self::ForgetAdded),
        ("store-gone-ends-scans", Self::StoreGoneEndsScans),
        ("ignore-maximum", Self::IgnoreMaximum),
        ("ignore-weight", Self::IgnoreWeight),
        ("ignore-gone", Self::IgnoreGone),
        ("trust-wall-clock", Self::TrustWallClock),
        ("refresh-token", Self::RefreshToken),
        ("reattach-stolen", Self::ReattachStolen),
        ("forget-partition", Self::ForgetPartition),
    ];
}
