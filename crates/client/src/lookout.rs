//! Keeps an eye on the link of a stream while nothing arrives: the shell around [`Watchdog`].

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use eventhubs_amqp::net::Receiver;

use crate::attachment::Attachment;
use crate::promise::Promise;
use crate::recovery::clock::{self, Timer};
use crate::recovery::resume::{Extent, Resume};
use crate::recovery::watchdog::{Step, View, Watchdog};

/// Why a link has to be made anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finding {
    /// The partition has events that do not come.
    Stalled,
    /// It was silent for so long that the service would soon end it.
    Idle,
}

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Lookout {
    watchdog: Watchdog,
    timer: Timer,
    /// When to look again; `None` before the first look.
    due: Option<Instant>,
    question: Option<Promise<Option<Extent>>>,
}

impl Lookout {
    pub(crate) fn new(attachment: &Attachment) -> Self {
        let deliveries_max = attachment.shared().target().options.link_deliveries_max;
        let watchdog = Watchdog::new(attachment.options.watchdog, deliveries_max);
        Self { watchdog, timer: Timer::new(), due: None, question: None }
    }

    /// There is a new link. What was asked about the one before does not matter any more.
    pub(crate) fn attached(&mut self) {
        self.watchdog.attached();
        (self.due, self.question) = (None, None);
    }

    /// Whether the link has carried so much that it has to be made anew.
    pub(crate) fn is_worn(&self, receiver: &Receiver) -> bool {
        self.watchdog.is_worn(receiver.handed_out())
    }

    /// Looks, when it is time to. To be polled when everything that had arrived was handed out.
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        receiver: &Receiver,
        resume: &Resume,
        attachment: &Arc<Attachment>,
    ) -> Poll<Finding> {
        loop {
            if let Some(question) = &mut self.question {
                let extent = std::task::ready!(question.poll(cx));
                self.question = None;
                let behind = extent.map(|extent| resume.is_behind(&extent));
                if self.watchdog.answered(&view(receiver), behind, clock::random()) {
                    return Poll::Ready(Finding::Stalled);
                }
            } else if self.due.is_some() {
                std::task::ready!(self.timer.poll(cx, self.due));
            }
            match self.watchdog.look(&view(receiver), clock::random()) {
                Step::Wait(at) => self.due = Some(at),
                Step::Ask => {
                    self.question = Some(Promise::new(Arc::clone(attachment).extent()));
                }
                Step::Recycle => return Poll::Ready(Finding::Idle),
            }
        }
    }
}

fn view(receiver: &Receiver) -> View {
    View { now: clock::now(), arrived: receiver.idle_since(), deliveries: receiver.handed_out() }
}
