//! Chance that a seed decides: every run with the same seed makes the same world.
//! In: a seed. Out: numbers, texts and orders. Never reads a clock or the system's own randomness.

pub const BASE32: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
pub const UPPER: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
pub const HEX: &[u8] = b"0123456789abcdef";

/// SplitMix64.
pub struct WorldDice(u64);

impl WorldDice {
    pub fn new(seed: u64) -> WorldDice {
        let mut dice = WorldDice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0x1234_5678_9ABC_DEF0);
        dice.number();
        dice
    }

    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.number()) * bound as u128) >> 64) as usize
    }

    /// A number of the range, both ends included.
    pub fn between(&mut self, low: i64, high: i64) -> i64 {
        low + self.below((high - low + 1) as usize) as i64
    }

    pub fn happens(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub fn pick<'t, T>(&mut self, from: &'t [T]) -> &'t T {
        &from[self.below(from.len())]
    }

    pub fn text(&mut self, alphabet: &[u8], length: usize) -> String {
        (0..length).map(|_| alphabet[self.below(alphabet.len())] as char).collect()
    }

    pub fn uuid(&mut self) -> String {
        let (a, b) = (self.number(), self.number());
        let (low, node) = ((a >> 32) as u32, b & 0xFFFF_FFFF_FFFF);
        let (middle, high, variant) = ((a >> 16) as u16, (a & 0xFFF) as u16, ((b >> 48) & 0x3FFF | 0x8000) as u16);
        format!("{low:08x}-{middle:04x}-4{high:03x}-{variant:04x}-{node:012x}")
    }

    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}
