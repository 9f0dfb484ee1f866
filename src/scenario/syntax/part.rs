//! Parts of nouns that may be there and yet not be known.

use super::decode::{Cx, Decode, Encode, read};
use super::describe::Reference;
use super::tree::Node;
use super::values::Spanned;

/// A part of something larger: its value, or the fact that reading it failed, which has been reported.
///
/// A noun whose fields are parts is read as far as it can be: one wrong field leaves the others to be checked. Whoever needs
/// the value of a part that is unread goes without it and says nothing, because what follows from a problem isn't another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part<T>(Option<T>);

impl<T> Part<T> {
    /// The part whose reading failed.
    pub const UNREAD: Self = Self(None);

    /// The part with this value.
    pub fn read(value: T) -> Self {
        Self(Some(value))
    }

    /// The value, if it could be read.
    pub fn get(&self) -> Option<&T> {
        self.0.as_ref()
    }

    /// The value, to be changed, if it could be read.
    pub fn get_mut(&mut self) -> Option<&mut T> {
        self.0.as_mut()
    }

    /// Whether reading it failed.
    pub fn is_unread(&self) -> bool {
        self.0.is_none()
    }
}

impl<T> Part<Option<T>> {
    /// What `read` makes of the value, if there is one. `None`: the part is unread, or `read` gave nothing.
    pub fn each<R>(&self, read: impl FnOnce(&T) -> Option<R>) -> Option<Option<R>> {
        match self.get()? {
            Some(value) => read(value).map(Some),
            None => Some(None),
        }
    }

    /// The value, if it could be read and there is one.
    pub fn given(&self) -> Option<&T> {
        self.get()?.as_ref()
    }
}

impl<T> From<T> for Part<T> {
    fn from(value: T) -> Self {
        Self(Some(value))
    }
}

impl<T> From<T> for Part<Spanned<T>> {
    fn from(value: T) -> Self {
        Self(Some(value.into()))
    }
}

/// Never `None`: what can't be read is an unread part.
impl<T: Decode> Decode for Part<T> {
    fn decode(node: &Node, cx: &mut Cx) -> Option<Self> {
        Some(Self(read(node, cx)))
    }
    fn absent() -> Option<Self> {
        T::absent().map(|value| Self(Some(value)))
    }
    fn unread() -> Option<Self> {
        Some(Self(T::unread()))
    }
    fn arrange(node: &mut Node) {
        T::arrange(node);
    }
    fn type_name() -> String {
        T::type_name()
    }
    fn describe(reference: &mut Reference) {
        T::describe(reference);
    }
    fn variant_names(names: &mut Vec<&'static str>) {
        T::variant_names(names);
    }
}

/// # Panics
/// If the part is unread: only what was read can be written.
impl<T: Encode> Encode for Part<T> {
    fn encode(&self) -> Node {
        self.get().expect("what is written was read").encode()
    }
}
