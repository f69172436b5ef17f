//! Infers the types of parameters where no prepared statement tells them.

use bytes::BytesMut;
use tokio_postgres::types::{ToSql, Type};

/// The types in the order in which they are tried: the first that fits the value is used.
const TYPES: [Type; 26] = [
    Type::BOOL,
    Type::INT2,
    Type::INT4,
    Type::INT8,
    Type::FLOAT4,
    Type::FLOAT8,
    Type::TEXT,
    Type::BYTEA,
    Type::TIMESTAMPTZ,
    Type::TIMESTAMP,
    Type::DATE,
    Type::TIME,
    Type::UUID,
    Type::JSONB,
    Type::NUMERIC,
    Type::INET,
    Type::CHAR,
    Type::OID,
    Type::BOOL_ARRAY,
    Type::INT4_ARRAY,
    Type::INT8_ARRAY,
    Type::FLOAT8_ARRAY,
    Type::TEXT_ARRAY,
    Type::BYTEA_ARRAY,
    Type::UUID_ARRAY,
    Type::TIMESTAMPTZ_ARRAY,
];

pub(super) type Typed<'a> = (&'a (dyn ToSql + Sync), Type);

/// Pairs each parameter with the type of its value.
pub(super) fn typed<'a>(params: &[&'a (dyn ToSql + Sync)]) -> Vec<Typed<'a>> {
    params.iter().map(|param| (*param, type_of(*param))).collect()
}

/// The server infers the type of any other value, and rejects the request if the value does not
/// fit.
fn type_of(param: &(dyn ToSql + Sync)) -> Type {
    let mut scratch = BytesMut::new();
    let is = |ty: &&Type| param.to_sql_checked(ty, &mut scratch).is_ok();
    TYPES.iter().find(is).cloned().unwrap_or(Type::UNKNOWN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_the_types_that_their_names_say() {
        let values: [(&(dyn ToSql + Sync), Type); 8] = [
            (&true, Type::BOOL),
            (&7_i16, Type::INT2),
            (&7_i32, Type::INT4),
            (&7_i64, Type::INT8),
            (&"seven", Type::TEXT),
            (&None::<String>, Type::TEXT),
            (&b"seven".as_slice(), Type::BYTEA),
            (&std::time::SystemTime::UNIX_EPOCH, Type::TIMESTAMPTZ),
        ];
        for (value, ty) in values {
            assert_eq!(type_of(value), ty, "{value:?}");
        }
        assert_eq!(type_of(&vec!["a", "b"]), Type::TEXT_ARRAY);
    }
}
