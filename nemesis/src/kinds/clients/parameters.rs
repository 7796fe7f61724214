//! Parameters of what clients do wrong: its share, and what a kind has for itself.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Wrong;
use super::steps::ClientSteps;
use crate::kinds::family;
use crate::kinds::kind::{Parameter, ParameterError, Parameters};
use crate::life::clients::ClientFault;
use crate::life::technique::Technique;

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Common {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    share: Option<f64>,
}

/// For a catalogue.
pub fn all<W: Wrong>() -> Vec<Parameter> {
    let share = Parameter {
        name: "share",
        values: format!(
            "of the operations that it may happen to: above 0, up to 1; default {}",
            W::SHARE
        ),
    };
    std::iter::once(share).chain(W::own()).collect()
}

/// Reads the parameters of one fault.
pub fn read<W: Wrong>(written: Value) -> Result<Arc<dyn Parameters>, ParameterError> {
    let (common, wrong): (Common, W) = family::read(written, &W::own(), &all::<W>())?;
    Ok(Arc::new(Written { common, wrong }))
}

#[derive(Debug)]
struct Written<W> {
    common: Common,
    wrong: W,
}

impl<W: Wrong> Parameters for Written<W> {
    fn to_json(&self) -> Value {
        family::write(&self.common, &self.wrong)
    }

    fn check(&self, _nodes: &[String]) -> Result<(), (&'static str, String)> {
        if let Some(share) = self.common.share
            && !(share > 0.0 && share <= 1.0)
        {
            let what = format!("{share} is no share; use a number above 0, up to 1");
            return Err(("share", what));
        }
        self.wrong.check()
    }

    fn names_role(&self) -> Option<&'static str> {
        None
    }

    fn technique(&self, id: u64, _seed: u64, _length: Duration) -> Box<dyn Technique> {
        let fault = ClientFault {
            share: self.common.share.unwrap_or(W::SHARE),
            how: self.wrong.misstep(),
        };
        Box::new(ClientSteps {
            id,
            fault,
            wrong: self.wrong.clone(),
        })
    }
}
