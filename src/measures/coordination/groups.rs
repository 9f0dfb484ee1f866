//! What is kept for each of some coordination groups, found by the entity of any of its members.

use super::super::Setting;
use super::Watched;
use std::sync::Arc;

/// One value for each of some groups.
#[derive(Debug)]
pub(in crate::measures) struct PerGroup<T> {
    setting: Arc<Setting>,
    groups: Vec<T>,
    /// By the number of a group in the directory, its place among those.
    place: Vec<Option<u16>>,
}

impl<T> PerGroup<T> {
    /// For the groups of which `make` makes something.
    pub(in crate::measures) fn of(setting: &Arc<Setting>, make: impl Fn(&Watched) -> Option<T>) -> Self {
        let mut place = vec![None; setting.directory.groups().len()];
        let mut groups = Vec::new();
        for watched in &setting.coordination {
            if let Some(made) = make(watched) {
                place[usize::from(setting.directory.locate(watched.first).0)] = Some(groups.len() as u16);
                groups.push(made);
            }
        }
        Self {
            setting: Arc::clone(setting),
            groups,
            place,
        }
    }

    /// For the groups that work by a pattern; `None`: there is none.
    pub(in crate::measures) fn by(setting: &Arc<Setting>, pattern: &str, make: impl Fn(Watched) -> T) -> Option<Self> {
        let of = Self::of(setting, |watched| {
            (watched.pattern == pattern).then(|| make(watched.clone()))
        });
        (!of.groups.is_empty()).then_some(of)
    }

    /// What is kept for the group that an entity belongs to.
    #[inline]
    pub(in crate::measures) fn of_entity(&mut self, entity: u32) -> Option<&mut T> {
        let (group, _) = self.setting.directory.locate(entity);
        let place = (*self.place.get(usize::from(group))?)?;
        self.groups.get_mut(usize::from(place))
    }

    /// What is kept for all of them, by name.
    pub(in crate::measures) fn into_all(self) -> Vec<T> {
        self.groups
    }
}
