//! The oracle finds what is wrong, and nothing else.

mod generated;
mod long;
mod planted;
mod whole;
