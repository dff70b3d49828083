//! A run as a picture: a row per partition, a colour per host, and bands for what was done.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use eventhubs_protocol::PartitionId;

use crate::judge::Violation;
use crate::plan::{Deed, Plan};

/// Points per second, and the sizes of rows and margins.
const SECOND: f64 = 1.2;
const ROW: f64 = 22.0;
const LEFT: f64 = 90.0;
const TOP: f64 = 56.0;
/// Rows of what is done, so that texts do not lie on each other.
const DEED_ROWS: usize = 6;
const DEED_ROW: f64 = 13.0;

/// Told apart by those who see few colours, too.
const COLOURS: [&str; 12] = [
    "#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442", "#8c564b",
    "#7f7f7f", "#332288", "#88ccee", "#117733",
];

/// Who had a partition from when on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Standing {
    owner: Option<usize>,
    /// The host of the receiver.
    reader: Option<usize>,
}

/// What happened, as it will be drawn.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    rows: BTreeMap<PartitionId, Vec<(Duration, Standing)>>,
    deeds: Vec<(Duration, Deed)>,
}

impl Trace {
    pub(crate) fn deed(&mut self, now: Duration, deed: Deed) {
        self.deeds.push((now, deed));
    }

    pub(crate) fn standing(
        &mut self,
        now: Duration,
        partition: PartitionId,
        owner: Option<usize>,
        reader: Option<usize>,
    ) {
        let standing = Standing { owner, reader };
        let row = self.rows.entry(partition).or_default();
        if row.last().is_none_or(|(_, last)| *last != standing) {
            row.push((now, standing));
        }
    }

    /// The picture, as SVG.
    pub(crate) fn draw(
        &self,
        plan: &Plan,
        partitions: u16,
        ids: &[String],
        violations: &[Violation],
    ) -> String {
        let ends = plan.ends.as_secs_f64();
        let deeds_high = DEED_ROW * DEED_ROWS as f64 + 8.0;
        let rows_top = TOP + deeds_high;
        let rows_high = ROW * f64::from(partitions);
        let legend = rows_top + rows_high + 40.0;
        let wide = LEFT + ends * SECOND + 20.0;
        let lines = ids.len().div_ceil(6) + violations.len() + 2;
        let high = legend + 18.0 * lines as f64;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{wide:.0}\" height=\"{high:.0}\" \
             font-family=\"sans-serif\" font-size=\"11\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
             <text x=\"10\" y=\"20\" font-size=\"15\">seed {}: {} partitions, {:?}, epochs {:?}, \
             {} violations</text>\n",
            plan.seed,
            partitions,
            plan.strategy,
            plan.epochs,
            violations.len()
        );
        self.bands(&mut svg, plan, (rows_top, rows_high));
        self.rows(&mut svg, plan, rows_top);
        axis(&mut svg, ends, rows_top + rows_high);
        for violation in violations {
            let x = at(violation.at);
            let bottom = rows_top + rows_high;
            let _ = writeln!(
                svg,
                "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{TOP}\" y2=\"{bottom:.0}\" \
                 stroke=\"red\" stroke-width=\"2\"/>"
            );
        }
        key(&mut svg, legend, ids, violations);
        svg.push_str("</svg>\n");
        svg
    }

    /// What was done, each with a line through all partitions and, if it lasts, a band.
    fn bands(&self, svg: &mut String, plan: &Plan, (top, high): (f64, f64)) {
        if !plan.rough_until.is_zero() {
            let wide = plan.rough_until.as_secs_f64() * SECOND;
            let _ = writeln!(
                svg,
                "<rect x=\"{LEFT}\" y=\"{top}\" width=\"{wide:.1}\" height=\"{high}\" \
                 fill=\"#f6f0e4\"/><text x=\"{LEFT}\" y=\"40\" fill=\"#a08040\">\
                 calls are slow and fail</text>"
            );
        }
        for (place, (when, deed)) in self.deeds.iter().enumerate() {
            let x = at(*when);
            let y = TOP + DEED_ROW * (place % DEED_ROWS) as f64;
            let (text, long) = said(*deed);
            let colour = if long.is_some() { "#c04040" } else { "#606060" };
            if let Some(long) = long {
                let wide = long.as_secs_f64() * SECOND;
                let _ = writeln!(
                    svg,
                    "<rect x=\"{x:.1}\" y=\"{:.1}\" width=\"{wide:.1}\" height=\"4\" \
                     fill=\"{colour}\" opacity=\"0.4\"/>",
                    y + 2.0
                );
            }
            let _ = writeln!(
                svg,
                "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{y:.1}\" y2=\"{:.1}\" stroke=\"{colour}\" \
                 stroke-dasharray=\"2 3\"/><text x=\"{:.1}\" y=\"{y:.1}\" fill=\"{colour}\" \
                 font-size=\"9\">{text}</text>",
                top + high,
                x + 2.0
            );
        }
    }

    fn rows(&self, svg: &mut String, plan: &Plan, top: f64) {
        for (partition, row) in &self.rows {
            let y = top + ROW * f64::from(partition.as_u16());
            let _ = writeln!(
                svg,
                "<text x=\"10\" y=\"{:.1}\">partition {partition}</text>",
                y + ROW * 0.65
            );
            let ends = row.iter().skip(1).map(|(from, _)| *from).chain([plan.ends]);
            for ((from, standing), to) in row.iter().zip(ends) {
                let (x, wide) = (at(*from), (to.saturating_sub(*from)).as_secs_f64() * SECOND);
                let mut bar = |place: f64, tall: f64, colour: &str| {
                    let _ = writeln!(
                        svg,
                        "<rect x=\"{x:.1}\" y=\"{:.1}\" width=\"{wide:.1}\" height=\"{tall:.1}\" \
                         fill=\"{colour}\"/>",
                        y + place
                    );
                };
                match standing.owner {
                    Some(owner) => bar(2.0, ROW * 0.55, colour(owner)),
                    None => bar(2.0, ROW * 0.55, "#eeeeee"),
                }
                if let Some(reader) = standing.reader {
                    bar(2.0 + ROW * 0.58, ROW * 0.2, colour(reader));
                }
            }
        }
    }
}

fn at(when: Duration) -> f64 {
    LEFT + when.as_secs_f64() * SECOND
}

fn colour(host: usize) -> &'static str {
    COLOURS[host % COLOURS.len()]
}

fn axis(svg: &mut String, ends: f64, y: f64) {
    let mut second = 0.0;
    while second <= ends {
        let x = LEFT + second * SECOND;
        let _ = writeln!(
            svg,
            "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{y:.1}\" y2=\"{:.1}\" stroke=\"black\"/>\
             <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{second} s</text>",
            y + 5.0,
            y + 17.0
        );
        second += 60.0;
    }
}

fn key(svg: &mut String, top: f64, ids: &[String], violations: &[Violation]) {
    for (host, id) in ids.iter().enumerate() {
        let x = 10.0 + 150.0 * (host % 6) as f64;
        let y = top + 18.0 * (host / 6) as f64;
        let _ = writeln!(
            svg,
            "<rect x=\"{x:.1}\" y=\"{:.1}\" width=\"12\" height=\"12\" fill=\"{}\"/>\
             <text x=\"{:.1}\" y=\"{y:.1}\">host {host}: {id}</text>",
            y - 10.0,
            colour(host),
            x + 16.0
        );
    }
    let mut y = top + 18.0 * ids.len().div_ceil(6) as f64;
    let _ = writeln!(
        svg,
        "<text x=\"10\" y=\"{y:.1}\">thick: the owner of the lease, grey when there is none; thin: \
         the receiver that the broker has, of a host that is gone too; dashed: what was done; red \
         through all: a rule is broken</text>"
    );
    for violation in violations {
        y += 18.0;
        let text = violation.to_string().replace('&', "&amp;").replace('<', "&lt;");
        let _ = writeln!(svg, "<text x=\"10\" y=\"{y:.1}\" fill=\"red\">{text}</text>");
    }
}

/// A deed in a few words, and how long it lasts.
fn said(deed: Deed) -> (String, Option<Duration>) {
    match deed {
        Deed::Start(role) if role.weight != 1 || role.maximum.is_some() || role.store > 0 => {
            let maximum = role.maximum.map_or(String::new(), |most| format!(" at most {most}"));
            let store = if role.store > 0 { " store 2" } else { "" };
            (format!("start x{}{maximum}{store}", role.weight), None)
        }
        Deed::Start(_) => ("start".to_owned(), None),
        Deed::Stop(host) => (format!("stop {host}"), None),
        Deed::Crash(host) => (format!("crash {host}"), None),
        Deed::Pause(host, long) => (format!("pause {host}"), Some(long)),
        Deed::Suspend(host, long) => (format!("suspend {host}"), Some(long)),
        Deed::Cut(host, long) => (format!("{host} without store"), Some(long)),
        Deed::CutHub(host, long) => (format!("{host} without hub"), Some(long)),
        Deed::Jump(host, far) => (format!("clock of {host} {far:+} s"), None),
        Deed::Outage(long) => ("no store".to_owned(), Some(long)),
        Deed::AddPartitions(count) => (format!("{count} partitions more"), None),
        Deed::DeleteStore(long) => ("store deleted".to_owned(), Some(long)),
        Deed::DeleteLease(partition) => (format!("lease {partition} deleted"), None),
        Deed::BreakLease(partition) => (format!("lease {partition} broken"), None),
    }
}
