//! How a worker hears that it shall end.

use std::io;

use tokio::sync::oneshot;

/// Waits for Ctrl-C, for SIGTERM, and if so wanted for the end of the standard input.
pub(crate) async fn told_to_end(with_parent: bool) -> io::Result<()> {
    tokio::select! {
        result = tokio::signal::ctrl_c() => result,
        result = terminated() => result,
        () = parent_ended(), if with_parent => Ok(()),
    }
}

/// Waits for the end of the standard input. On a thread of its own, which nobody waits for: a read
/// of the standard input cannot be called off.
async fn parent_ended() {
    let (tell, ended) = oneshot::channel();
    std::thread::spawn(move || {
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        let _ = tell.send(());
    });
    let _ = ended.await;
}

#[cfg(unix)]
async fn terminated() -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    signal(SignalKind::terminate())?.recv().await;
    Ok(())
}

#[cfg(not(unix))]
async fn terminated() -> io::Result<()> {
    std::future::pending().await
}
