//! The oracle finds what is wrong, and nothing else.

mod child;
mod generated;
mod long;
mod misruled;
mod planted;
mod ruled;
mod usurped;
mod whole;
