//! Parameters of kinds that are a family: some a kind has for itself, the others all of the family take.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::kind::{Parameter, ParameterError, json, typed};

/// Reads what all of the family take, and what the kind has for itself: those that are named in `own`. `all` are both, in the
/// order in which an error lists them.
pub fn read<Common: DeserializeOwned, Own: DeserializeOwned>(
    written: Value,
    own: &[Parameter],
    all: &[Parameter],
) -> Result<(Common, Own), ParameterError> {
    let is_among = |key: &str, list: &[Parameter]| list.iter().any(|parameter| parameter.name == key);
    let (mut its_own, mut others) = (Map::new(), Map::new());
    if let Value::Object(written) = written {
        for (key, value) in written {
            if !is_among(&key, all) {
                let all: Vec<String> = all
                    .iter()
                    .map(|parameter| format!("`{}`", parameter.name))
                    .collect();
                let what = format!("unknown field `{key}`, expected one of {}", all.join(", "));
                return Err(ParameterError::at(&key, what));
            }
            let into = if is_among(&key, own) {
                &mut its_own
            } else {
                &mut others
            };
            into.insert(key, value);
        }
    }
    Ok((typed(Value::Object(others))?, typed(Value::Object(its_own))?))
}

/// Writes both, as [`read`] takes them.
pub fn write(common: &impl Serialize, own: &impl Serialize) -> Value {
    let mut all = json(common);
    if let (Value::Object(all), Value::Object(own)) = (&mut all, json(own)) {
        all.extend(own);
    }
    all
}
