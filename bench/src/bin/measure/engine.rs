//! The workloads straight on the connection: what the engine costs without the client.

use crate::{Arguments, Done, Failure};

pub(crate) async fn run(arguments: &Arguments) -> Result<Done, Failure> {
    let _ = (
        arguments.workload,
        arguments.count,
        &arguments.peer,
        arguments.engine,
    );
    let _ = crate::meter::Meter::start().read();
    Err("not there yet".into())
}
