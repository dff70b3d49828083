//! Who settles deliveries, and when.

/// How the sender settles (part 2.8.2).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum SenderSettleMode {
    /// All deliveries are sent unsettled.
    Unsettled,
    /// All deliveries are sent settled.
    Settled,
    /// Some are, some are not.
    #[default]
    Mixed,
}

impl SenderSettleMode {
    pub(crate) const fn to_wire(self) -> u8 {
        match self {
            Self::Unsettled => 0,
            Self::Settled => 1,
            Self::Mixed => 2,
        }
    }

    pub(crate) const fn from_wire(mode: u8) -> Option<Self> {
        match mode {
            0 => Some(Self::Unsettled),
            1 => Some(Self::Settled),
            2 => Some(Self::Mixed),
            _ => None,
        }
    }
}

/// How the receiver settles (part 2.8.3).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum ReceiverSettleMode {
    /// At once.
    #[default]
    First,
    /// After the sender has.
    Second,
}

impl ReceiverSettleMode {
    pub(crate) const fn to_wire(self) -> u8 {
        match self {
            Self::First => 0,
            Self::Second => 1,
        }
    }

    pub(crate) const fn from_wire(mode: u8) -> Option<Self> {
        match mode {
            0 => Some(Self::First),
            1 => Some(Self::Second),
            _ => None,
        }
    }
}
