//! Tells by one look-up which of a few known names a key can be.
//! In: hashes of the names, as a constant. Out: the place of the name that a hash may be of.
//! Never compares names: the caller does.

/// Places of names by their hashes, in a number of slots that is a power of two.
#[derive(Debug)]
pub(super) struct NameSlots<const S: usize> {
    places: [u8; S],
    multiplier: u64,
}

impl<const S: usize> NameSlots<S> {
    /// Tries multipliers until no two hashes fall into one slot; meant for constants, since it may take long.
    pub const fn new(hashes: &[u64]) -> NameSlots<S> {
        let mut slots = NameSlots { places: [u8::MAX; S], multiplier: 0x9e37_79b9_7f4a_7c15 };
        'search: loop {
            slots.places = [u8::MAX; S];
            let mut at = 0;
            while at < hashes.len() {
                let slot = slots.slot_of(hashes[at]);
                if slots.places[slot] != u8::MAX {
                    slots.multiplier = slots.multiplier.wrapping_add(0x5851_f42d_4c95_7f2e);
                    continue 'search;
                }
                slots.places[slot] = at as u8;
                at += 1;
            }
            return slots;
        }
    }

    const fn slot_of(&self, hash: u64) -> usize {
        (hash.wrapping_mul(self.multiplier) >> (u64::BITS - S.trailing_zeros())) as usize
    }

    /// The place of the one name that may have this hash; a place beyond the list if no name has it.
    pub fn place_of(&self, hash: u64) -> usize {
        usize::from(self.places[self.slot_of(hash)])
    }
}
