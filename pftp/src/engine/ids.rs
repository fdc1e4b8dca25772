//! Names of the engine's parts, and tables that are indexed by them.

use std::marker::PhantomData;
use std::ops::{Index, IndexMut};

/// Names a file of the job: its place in the order of [`Fetcher::add`](super::Fetcher::add).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct FileId(pub usize);

/// Names a server: its place in the order of [`Fetcher::add_server`](super::Fetcher::add_server).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ServerId(pub usize);

/// Names a mirror of one file: its place in [`Wanted::mirrors`](super::Wanted::mirrors).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct MirrorId(pub usize);

/// Names a comparison of bytes of one file.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ComparisonId(pub u64);

/// Names a slot: a connection of the job. Sessions come and go in it.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) struct SlotId(pub(super) usize);

/// An identifier that is a place in an [`Arena`].
pub(super) trait Id: Copy {
    /// The identifier of the place `at`.
    fn new(at: usize) -> Self;
    /// The place that the identifier names.
    fn at(self) -> usize;
}

macro_rules! id {
    ($($name:ident),+) => {$(
        impl Id for $name {
            fn new(at: usize) -> Self {
                Self(at)
            }
            fn at(self) -> usize {
                self.0
            }
        }
    )+};
}
id!(FileId, ServerId, MirrorId, SlotId);

/// A table that only grows: an identifier that it has given stays valid.
#[derive(Debug)]
pub(super) struct Arena<I, T> {
    items: Vec<T>,
    id: PhantomData<fn() -> I>,
}

impl<I: Id, T> Arena<I, T> {
    /// An empty table.
    pub(super) const fn new() -> Self {
        Self { items: Vec::new(), id: PhantomData }
    }

    /// Adds an item and returns its identifier.
    pub(super) fn push(&mut self, item: T) -> I {
        self.items.push(item);
        I::new(self.items.len().saturating_sub(1))
    }

    /// The number of items.
    pub(super) const fn len(&self) -> usize {
        self.items.len()
    }

    /// The item of an identifier that came from outside.
    pub(super) fn get(&self, id: I) -> Option<&T> {
        self.items.get(id.at())
    }

    /// All identifiers, in order.
    pub(super) fn ids(&self) -> impl DoubleEndedIterator<Item = I> + ExactSizeIterator + use<I, T> {
        (0..self.items.len()).map(I::new)
    }

    /// All items with their identifiers, in order.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = (I, &T)> {
        self.items.iter().enumerate().map(|(at, item)| (I::new(at), item))
    }

    /// All items, in order.
    pub(super) fn values(&self) -> impl DoubleEndedIterator<Item = &T> {
        self.items.iter()
    }

    /// All items, to change them, in order.
    pub(super) fn values_mut(&mut self) -> impl DoubleEndedIterator<Item = &mut T> {
        self.items.iter_mut()
    }
}

impl<I: Id, T> FromIterator<T> for Arena<I, T> {
    fn from_iter<A: IntoIterator<Item = T>>(items: A) -> Self {
        Self { items: items.into_iter().collect(), id: PhantomData }
    }
}

impl<I: Id, T> Index<I> for Arena<I, T> {
    type Output = T;

    fn index(&self, id: I) -> &T {
        &self.items[id.at()]
    }
}

impl<I: Id, T> IndexMut<I> for Arena<I, T> {
    fn index_mut(&mut self, id: I) -> &mut T {
        &mut self.items[id.at()]
    }
}
