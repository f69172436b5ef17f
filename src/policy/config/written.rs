//! Reads and writes settings in configuration files (feature `serde`).
//!
//! It is written by hand for two things that derived code does not do: an error names its setting,
//! even if the format does not report positions, and `None` can be written where a format has no
//! null.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use serde::de::value::{I64Deserializer, MapAccessDeserializer, StrDeserializer, U64Deserializer};
use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, Unexpected, Visitor,
};
use serde::ser::{Serialize, Serializer};

use super::Config;
use crate::policy::backoff::Backoff;
use crate::policy::health_check::HealthCheck;
use crate::policy::heartbeat::Heartbeat;
use crate::policy::order::Order;
use crate::policy::reuse::Reuse;
use crate::policy::spread::Spread;

/// Stands for `None`.
const NONE: &str = "none";

/// A value of a setting.
pub(crate) trait Written: Sized {
    /// The values that are accepted, in words.
    const EXPECTED: &'static str;

    fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error>;

    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error>;
}

/// Writes a struct field by field under their names, and reads it over its default.
macro_rules! by_name {
    ($whole:ident: $($field:ident),+ $(,)?) => {
        impl serde::Serialize for $whole {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                use serde::ser::SerializeStruct;

                // If a field is missing here, this does not compile.
                let $whole { $($field),+ } = self;
                let names = [$(stringify!($field)),+];
                let mut to = to.serialize_struct(stringify!($whole), names.len())?;
                $(to.serialize_field(stringify!($field), &$crate::policy::config::written::Out($field))?;)+
                to.end()
            }
        }

        impl<'de> serde::Deserialize<'de> for $whole {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                const NAMES: &[&str] = &[$(stringify!($field)),+];

                struct Fields;

                impl<'de> serde::de::Visitor<'de> for Fields {
                    type Value = $whole;

                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str("a table of settings")
                    }

                    fn visit_map<A: serde::de::MapAccess<'de>>(
                        self,
                        mut map: A,
                    ) -> Result<$whole, A::Error> {
                        use $crate::policy::config::written::{In, Name, twice, unknown};

                        let mut whole = <$whole>::default();
                        let mut seen = Vec::new();
                        while let Some(Name(name)) = map.next_key()? {
                            if seen.contains(&name) {
                                return Err(twice(&name));
                            }
                            match &*name {
                                $(stringify!($field) => {
                                    map.next_value_seed(In(stringify!($field), &mut whole.$field))?;
                                })+
                                _ => return Err(unknown(&name, NAMES)),
                            }
                            seen.push(name);
                        }
                        Ok(whole)
                    }
                }

                from.deserialize_struct(stringify!($whole), NAMES, Fields)
            }
        }
    };
}

by_name!(Heartbeat: every, timeout, max_missed);

by_name!(Backoff: initial, max, factor, jitter);

by_name!(Config:
    max_per_host, initial_per_host, min_idle_per_host, max_idle_per_host, max_idle, max_total,
    max_waiters_per_host, max_dialing_per_host, max_dialing, order, reuse, spread, acquire_timeout,
    connect_timeout, ping_timeout, close_timeout, idle_timeout, max_lifetime, lifetime_jitter,
    max_uses, health_check, heartbeat, retry, slow_acquire, leak_after, deadlock_warnings, advice,
);

/// A field to be written.
pub(crate) struct Out<'a, T>(pub(crate) &'a T);

impl<T: Written> Serialize for Out<'_, T> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.0.write(to)
    }
}

/// A field to be read: its name and its destination.
pub(crate) struct In<'a, T>(pub(crate) &'static str, pub(crate) &'a mut T);

impl<'de, T: Written> DeserializeSeed<'de> for In<'_, T> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        let In(name, into) = self;
        *into = T::read(from)
            .map_err(|error| D::Error::custom(format!("{name}: {}", words(&error))))?;
        Ok(())
    }
}

/// Returns the first line of an error: formats add the position after it, and will do so again.
fn words<E: Error>(error: &E) -> String {
    let all = error.to_string();
    all.lines().next().unwrap_or_default().to_owned()
}

/// A name that may be a field's.
pub(crate) struct Name(pub(crate) String);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_identifier(Words("a setting's name", |name| Some(Name(name.to_owned()))))
    }
}

pub(crate) fn twice<E: Error>(name: &str) -> E {
    E::custom(format!("`{name}` is set twice"))
}

pub(crate) fn unknown<E: Error>(name: &str, names: &'static [&'static str]) -> E {
    E::unknown_field(name, names)
}

/// Reads a word: the words that are accepted, and their conversion.
struct Words<T>(&'static str, fn(&str) -> Option<T>);

impl<T> Visitor<'_> for Words<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }

    fn visit_str<E: Error>(self, words: &str) -> Result<T, E> {
        (self.1)(words).ok_or_else(|| E::invalid_value(Unexpected::Str(words), &self))
    }
}

impl Written for Duration {
    const EXPECTED: &'static str = "a time such as \"90s\" or \"250ms\"";

    fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&humantime::format_duration(*self))
    }

    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_str(Words(Self::EXPECTED, time_of))
    }
}

/// Accepts what `humantime` does, except bare numbers, and `M` for months, which is usually meant
/// as minutes.
fn time_of(words: &str) -> Option<Duration> {
    let is_bare = words.bytes().all(|byte| byte.is_ascii_digit());
    if is_bare || words.contains('M') {
        return None;
    }
    humantime::parse_duration(words).ok()
}

/// Reads a non-negative whole number.
struct Count<T>(PhantomData<T>);

impl<T: TryFrom<u64>> Visitor<'_> for Count<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a count")
    }

    fn visit_u64<E: Error>(self, n: u64) -> Result<T, E> {
        n.try_into().map_err(|_| E::invalid_value(Unexpected::Unsigned(n), &self))
    }

    fn visit_i64<E: Error>(self, n: i64) -> Result<T, E> {
        match u64::try_from(n) {
            Ok(n) => self.visit_u64(n),
            Err(_) => Err(E::invalid_value(Unexpected::Signed(n), &self)),
        }
    }
}

macro_rules! counts {
    ($($count:ty),+) => {
        $(impl Written for $count {
            const EXPECTED: &'static str = "a count";

            fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                self.serialize(to)
            }

            fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                from.deserialize_u64(Count(PhantomData))
            }
        })+
    };
}

counts!(u32, u64, usize);

macro_rules! as_they_are {
    ($($value:ty: $expected:literal),+ $(,)?) => {
        $(impl Written for $value {
            const EXPECTED: &'static str = $expected;

            fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                self.serialize(to)
            }

            fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                <$value>::deserialize(from)
            }
        })+
    };
}

as_they_are! {
    bool: "true or false",
    f64: "a number",
    Order: "a word",
    Reuse: "a word",
    Spread: "a word",
    HealthCheck: "a word or a table",
    Heartbeat: "a table",
    Backoff: "a table",
}

impl<T: Written> Written for Option<T> {
    const EXPECTED: &'static str = T::EXPECTED;

    fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Some(value) => value.write(to),
            None => to.serialize_str(NONE),
        }
    }

    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(OrNone(PhantomData))
    }
}

/// Reads a value, or the word for `None`.
struct OrNone<T>(PhantomData<T>);

impl<T: Written> OrNone<T> {
    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Option<T>, D::Error> {
        let or_none = |error| D::Error::custom(format!("{}, or \"{NONE}\"", words(&error)));
        T::read(from).map(Some).map_err(or_none)
    }
}

impl<'de, T: Written> Visitor<'de> for OrNone<T> {
    type Value = Option<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, or \"{NONE}\"", T::EXPECTED)
    }

    fn visit_str<E: Error>(self, words: &str) -> Result<Option<T>, E> {
        if words == NONE { Ok(None) } else { OrNone::read(StrDeserializer::new(words)) }
    }

    fn visit_u64<E: Error>(self, n: u64) -> Result<Option<T>, E> {
        OrNone::read(U64Deserializer::new(n))
    }

    fn visit_i64<E: Error>(self, n: i64) -> Result<Option<T>, E> {
        OrNone::read(I64Deserializer::new(n))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Option<T>, A::Error> {
        T::read(MapAccessDeserializer::new(map)).map(Some)
    }

    fn visit_unit<E: Error>(self) -> Result<Option<T>, E> {
        Ok(None)
    }

    fn visit_none<E: Error>(self) -> Result<Option<T>, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, from: D) -> Result<Option<T>, D::Error> {
        from.deserialize_any(self)
    }
}

/// Durations in derived code.
pub(crate) mod time {
    use super::{Deserializer, Duration, Serializer, Written};

    pub(crate) fn serialize<S: Serializer>(time: &Duration, to: S) -> Result<S::Ok, S::Error> {
        time.write(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        Duration::read(from)
    }
}
