//! All cases, in the order in which they start.

mod faults;
mod ownership;
mod properties;
mod receiving;
mod refusals;
mod sending;

use crate::runner::Case;

/// The slow ones first, so that the fast ones fill the time beside them.
pub(crate) fn all() -> Vec<Case> {
    [
        faults::all(),
        sending::all(),
        receiving::all(),
        ownership::all(),
        properties::all(),
        refusals::all(),
    ]
    .concat()
}

/// A list of cases from functions of the world.
macro_rules! cases {
    ($($name:ident),* $(,)?) => {
        $crate::cases::cases!(all: $($name),*);
    };
    ($all:ident: $($name:ident),* $(,)?) => {
        pub(crate) fn $all() -> Vec<$crate::runner::Case> {
            vec![$($crate::runner::Case::new(
                stringify!($name),
                |world| Box::pin($name(world)),
            )),*]
        }
    };
}
pub(crate) use cases;
