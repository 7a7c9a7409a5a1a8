//! Many names in little memory.
//! In: names, as bytes. Out: the same bytes by reference.
//! Never frees a single name; they go together.

use super::SourceError;

/// Bytes of many names in blocks, so that growing never copies them.
#[derive(Debug, Default)]
pub(super) struct NameArena {
    blocks: Vec<Vec<u8>>,
}

/// A name in `NameArena`.
#[derive(Clone, Copy, Debug)]
pub(super) struct NameRef {
    at: u32,
    len: u16,
}

impl NameRef {
    /// The two numbers of the reference, to be stored without padding.
    pub(super) fn parts(self) -> (u32, u16) {
        (self.at, self.len)
    }

    pub(super) fn of_parts(at: u32, len: u16) -> NameRef {
        NameRef { at, len }
    }
}

const BLOCK_BITS: u32 = 17;
const BLOCK_BYTES: usize = 1 << BLOCK_BITS;

impl NameArena {
    pub(super) fn push(&mut self, name: &[u8]) -> Result<NameRef, SourceError> {
        let len = u16::try_from(name.len()).map_err(|_| SourceError::TooMany)?;
        if self.blocks.last().is_none_or(|block| block.len() + name.len() > BLOCK_BYTES) {
            // Most folders are small; only a second block shows that this one is not.
            let reserved = if self.blocks.is_empty() { 0 } else { BLOCK_BYTES };
            self.blocks.push(Vec::with_capacity(reserved));
        }
        let block = self.blocks.len() - 1;
        let at = u32::try_from((block << BLOCK_BITS) + self.blocks[block].len()).map_err(|_| SourceError::TooMany)?;
        self.blocks[block].extend_from_slice(name);
        Ok(NameRef { at, len })
    }

    pub(super) fn get(&self, name: NameRef) -> &[u8] {
        let start = name.at as usize & (BLOCK_BYTES - 1);
        &self.blocks[name.at as usize >> BLOCK_BITS][start..start + name.len as usize]
    }
}
