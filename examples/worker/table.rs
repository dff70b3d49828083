//! A table of workers: drawn over itself on a terminal, otherwise a line whenever it changes.

use std::io::{self, IsTerminal, Write};

use tokio::time::Instant;

/// A worker.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) state: &'static str,
    pub(crate) partitions: String,
    pub(crate) handled: u64,
}

pub(crate) struct Table {
    began: Instant,
    is_terminal: bool,
    /// Lines that the next drawing goes over.
    drawn: usize,
    /// The last line that was printed where nothing can be drawn over.
    last: String,
}

impl Table {
    pub(crate) fn new() -> Self {
        let is_terminal = io::stdout().is_terminal();
        Self { began: Instant::now(), is_terminal, drawn: 0, last: String::new() }
    }

    /// Prints a line that stays.
    pub(crate) fn note(&mut self, text: &str) {
        let text = format!("{}{:5.1} s  {text}\n", self.erased(), self.seconds());
        print(&text);
    }

    pub(crate) fn draw(&mut self, rows: &[Row], numbers: &str) {
        let seconds = self.seconds();
        match self.is_terminal {
            true => {
                let mut text = format!("{}\n{seconds:5.1} s  {numbers}\n\n", self.erased());
                for Row { name, state, partitions, handled } in rows {
                    text += &format!("  {name}  {state:<6}  {handled:>7} handled  {partitions}\n");
                }
                self.drawn = text.lines().count();
                print(&text);
            }
            false => {
                let shares = rows.iter().map(|row| format!("{} [{}]", row.name, row.partitions));
                let line = shares.collect::<Vec<_>>().join("  ");
                if line != self.last {
                    print(&format!("{seconds:5.1} s  {line}  {numbers}\n"));
                    self.last = line;
                }
            }
        }
    }

    /// What erases the table.
    fn erased(&mut self) -> String {
        match std::mem::take(&mut self.drawn) {
            0 => String::new(),
            lines => format!("\x1b[{lines}A\x1b[J"),
        }
    }

    fn seconds(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }
}

fn print(text: &str) {
    let mut output = io::stdout().lock();
    let _ = output.write_all(text.as_bytes()).and_then(|()| output.flush());
}
