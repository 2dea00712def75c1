//! The index of keys: where in which file the row of a key is.
//!
//! A key's columns are written out as bytes (types, nulls and borders told apart) and these hashed to 128 bits with
//! a secret of this process: two keys of one hash are not expected in the life of the universe.

use std::hash::{BuildHasherDefault, Hasher};

use arrow_array::ArrayRef;
use arrow_row::{RowConverter, SortField};
use arrow_schema::DataType;
use hashbrown::HashMap;
use siphasher::sip128::{Hasher128, SipHasher13};

use crate::answer::{Result, fatal};
use crate::mapped::Mapped;

/// The hash of a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Key(u64, u64);

impl Key {
    /// Which of so many parts of all keys it is in.
    pub fn slice(&self, slices: u64) -> u64 {
        self.1 % slices
    }
}

impl std::hash::Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Loc {
    pub file: u32,
    pub row: u32,
}

/// A key is a hash already: its first half is taken as it is.
#[derive(Default)]
pub struct Taken(u64);

impl Hasher for Taken {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, _: &[u8]) {}
    fn write_u64(&mut self, n: u64) {
        self.0 = n;
    }
}

pub type KeyMap<V> = HashMap<Key, V, BuildHasherDefault<Taken>>;

/// Makes keys from columns.
pub struct Keys {
    rows: RowConverter,
    secret: [u8; 16],
}

impl Keys {
    pub fn new(types: &[DataType]) -> Result<Keys> {
        for t in types {
            if matches!(
                t,
                DataType::Float32 | DataType::Float64 | DataType::List(_) | DataType::Struct(_) | DataType::Map(_, _)
            ) {
                return Err(fatal!("a column of type {} cannot be in a key", crate::types::name(t)));
            }
        }
        Keys::of_rows(types)
    }

    /// Of whole rows: every type will do but maps.
    pub fn of_rows(types: &[DataType]) -> Result<Keys> {
        let rows = RowConverter::new(types.iter().cloned().map(SortField::new).collect())?;
        Ok(Keys { rows, secret: uuid::Uuid::new_v4().into_bytes() })
    }

    /// One key a row; the columns have exactly the types given to `new`.
    pub fn of(&self, columns: &[ArrayRef]) -> Result<Vec<Key>> {
        let rows = self.rows.convert_columns(columns)?;
        Ok(rows
            .iter()
            .map(|r| {
                let mut h = SipHasher13::new_with_key(&self.secret);
                h.write(r.as_ref());
                let h = h.finish128();
                Key(h.h1, h.h2)
            })
            .collect())
    }
}

#[derive(Default)]
pub struct Index {
    map: HashMap<Key, Loc, BuildHasherDefault<Taken>, Mapped>,
    /// Further rows of keys that the table has more than once (rows of other writers).
    more: KeyMap<Vec<Loc>>,
}

impl Index {
    /// One whose memory the kernel may write out.
    pub fn new(memory: Mapped) -> Index {
        Index { map: HashMap::with_hasher_in(BuildHasherDefault::default(), memory), more: KeyMap::default() }
    }

    pub fn clear(&mut self) {
        *self = Index::new(self.map.allocator().clone());
    }

    /// Of `bytes` those that are in files.
    pub fn mapped(&self) -> usize {
        self.map.allocator().bytes()
    }

    pub fn reserve(&mut self, n: usize) {
        self.map.reserve(n);
    }

    pub fn len(&self) -> usize {
        self.map.len()
    }

    pub fn bytes(&self) -> usize {
        self.map.allocation_size() + self.more.allocation_size()
    }

    /// Every row of the key, the first first.
    pub fn get(&self, key: &Key) -> impl Iterator<Item = Loc> + '_ {
        let first = self.map.get(key).copied();
        let more = if self.more.is_empty() { None } else { self.more.get(key) };
        first.into_iter().chain(more.into_iter().flatten().copied())
    }

    pub fn has(&self, key: &Key) -> bool {
        self.map.contains_key(key)
    }

    /// The key has this row and no other.
    pub fn set(&mut self, key: Key, loc: Loc) {
        self.map.insert(key, loc);
        if !self.more.is_empty() {
            self.more.remove(&key);
        }
    }

    /// The key has this row too.
    pub fn add(&mut self, key: Key, loc: Loc) {
        match self.map.entry(key) {
            hashbrown::hash_map::Entry::Vacant(e) => {
                e.insert(loc);
            }
            hashbrown::hash_map::Entry::Occupied(e) => {
                if *e.get() != loc {
                    self.more.entry(key).or_default().push(loc);
                }
            }
        }
    }

    pub fn remove(&mut self, key: &Key) {
        self.map.remove(key);
        if !self.more.is_empty() {
            self.more.remove(key);
        }
    }

    /// Forgets the rows for which `gone` holds.
    pub fn forget(&mut self, gone: impl Fn(Loc) -> bool) {
        let more = &mut self.more;
        more.retain(|_, locs| {
            locs.retain(|l| !gone(*l));
            !locs.is_empty()
        });
        let mut moved = vec![];
        self.map.retain(|key, loc| {
            if !gone(*loc) {
                return true;
            }
            if !more.is_empty()
                && let Some(locs) = more.get_mut(key)
                && let Some(next) = locs.pop()
            {
                moved.push((*key, next));
            }
            false
        });
        for (key, loc) in moved {
            self.map.insert(key, loc);
        }
        more.retain(|_, locs| !locs.is_empty());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::{BinaryArray, Int64Array, StringArray};
    use std::sync::Arc;

    #[test]
    fn borders_and_nulls_make_different_keys() {
        let k = Keys::new(&[DataType::Utf8, DataType::Binary, DataType::Int64]).unwrap();
        let a: ArrayRef = Arc::new(StringArray::from(vec![Some("ab"), Some("a"), Some(""), None, Some("ab")]));
        let b: ArrayRef =
            Arc::new(BinaryArray::from_opt_vec(vec![Some(b"c"), Some(b"bc"), None, Some(b""), Some(b"c")]));
        let c: ArrayRef = Arc::new(Int64Array::from(vec![Some(0), Some(0), Some(0), Some(0), Some(0)]));
        let keys = k.of(&[a, b, c]).unwrap();
        assert_eq!(keys[0], keys[4]);
        let distinct: KeyMap<()> = keys.into_iter().map(|k| (k, ())).collect();
        assert_eq!(distinct.len(), 4);
        assert!(Keys::new(&[DataType::Float64]).is_err());
    }

    #[test]
    fn a_key_may_have_several_rows() {
        let (mut i, k) = (Index::default(), Key(1, 2));
        for row in 0..3 {
            i.add(k, Loc { file: row % 2, row });
        }
        assert_eq!(i.get(&k).count(), 3);
        i.forget(|l| l.file == 0);
        assert_eq!(i.get(&k).collect::<Vec<_>>(), [Loc { file: 1, row: 1 }]);
        i.set(k, Loc { file: 5, row: 0 });
        i.remove(&k);
        assert!(!i.has(&k) && i.len() == 0);
    }
}
