//! Ids of sessions and links. Each carries a generation, so that an id kept too long names nothing
//! instead of naming its slot's next tenant.

/// A session of one [`Connection`](super::Connection).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SessionId {
    /// Slot, which is also our channel number.
    pub(crate) slot: u16,
    pub(crate) generation: u32,
}

/// A link of one [`Connection`](super::Connection), on whichever session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LinkId {
    pub(crate) slot: u32,
    pub(crate) generation: u32,
}

impl LinkId {
    /// A small number for dense tables; it is reused when the link is gone, so compare ids too.
    pub fn index(self) -> usize {
        self.slot as usize
    }
}

impl SessionId {
    /// A small number for dense tables; it is reused when the session is gone, so compare ids too.
    pub fn index(self) -> usize {
        usize::from(self.slot)
    }
}

/// A dense table whose slots are reused under a new generation.
#[derive(Debug)]
pub(crate) struct Slots<T> {
    entries: Vec<(u32, Option<T>)>,
    free: Vec<u32>,
    len: usize,
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self { entries: Vec::new(), free: Vec::new(), len: 0 }
    }
}

impl<T> Slots<T> {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn insert(&mut self, value: T) -> (u32, u32) {
        self.len += 1;
        if let Some(slot) = self.free.pop() {
            let entry = &mut self.entries[slot as usize];
            entry.1 = Some(value);
            return (slot, entry.0);
        }
        let slot = u32::try_from(self.entries.len()).expect("tables are bounded far below 2^32");
        self.entries.push((0, Some(value)));
        (slot, 0)
    }

    pub(crate) fn remove(&mut self, slot: u32) -> Option<T> {
        let entry = self.entries.get_mut(slot as usize)?;
        let value = entry.1.take()?;
        entry.0 = entry.0.wrapping_add(1);
        self.free.push(slot);
        self.len -= 1;
        Some(value)
    }

    #[inline]
    pub(crate) fn at(&self, slot: u32) -> Option<&T> {
        self.entries.get(slot as usize)?.1.as_ref()
    }

    #[inline]
    pub(crate) fn at_mut(&mut self, slot: u32) -> Option<&mut T> {
        self.entries.get_mut(slot as usize)?.1.as_mut()
    }

    #[inline]
    pub(crate) fn generation(&self, slot: u32) -> u32 {
        self.entries.get(slot as usize).map_or(0, |entry| entry.0)
    }

    #[inline]
    pub(crate) fn get(&self, slot: u32, generation: u32) -> Option<&T> {
        let entry = self.entries.get(slot as usize)?;
        if entry.0 == generation { entry.1.as_ref() } else { None }
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, slot: u32, generation: u32) -> Option<&mut T> {
        let entry = self.entries.get_mut(slot as usize)?;
        if entry.0 == generation { entry.1.as_mut() } else { None }
    }

    /// The occupied slots, in order.
    pub(crate) fn slots(&self) -> Vec<u32> {
        let occupied = self.entries.iter().enumerate().filter(|(_, entry)| entry.1.is_some());
        occupied.filter_map(|(slot, _)| u32::try_from(slot).ok()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reused_slot_has_a_new_generation() {
        let mut slots = Slots::default();
        let (slot, first) = slots.insert('a');
        assert_eq!(slots.remove(slot), Some('a'));
        let (again, second) = slots.insert('b');
        assert_eq!((again, slots.len()), (slot, 1));
        assert_ne!(first, second);
        assert_eq!(slots.get(slot, first), None);
        assert_eq!(slots.get(slot, second), Some(&'b'));
    }
}
