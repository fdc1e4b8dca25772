//! The directives that have not been taken.

use super::directive::Directive;
use super::ids::FileId;
use std::collections::VecDeque;

/// A queue of directives.
#[derive(Debug, Default)]
pub(super) struct Outbox(VecDeque<Directive>);

impl Outbox {
    /// Adds a directive.
    pub(super) fn push(&mut self, directive: Directive) {
        self.0.push_back(directive);
    }

    /// Takes the next directive.
    pub(super) fn pop(&mut self) -> Option<Directive> {
        self.0.pop_front()
    }
}

impl Directive {
    /// The file that the directive names.
    pub(super) const fn file(&self) -> Option<FileId> {
        match self {
            Self::Retrieve(_, _, file, _)
            | Self::Compare(file, ..)
            | Self::Found(file, _)
            | Self::Retract(file)
            | Self::Done(file, _) => Some(*file),
            Self::Resolve(_)
            | Self::Open { .. }
            | Self::Request(..)
            | Self::SetEnd(..)
            | Self::Close(_)
            | Self::Notice(_) => None,
        }
    }
}
