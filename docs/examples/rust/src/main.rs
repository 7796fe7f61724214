//! `lamp`: all of `duress`, with a client, a workload, a model and a property of its own: `lamp run lamp.toml`.

use std::process::ExitCode;

use async_trait::async_trait;
use duress::extension::{self, Extension};
use duress_checker::history::Trace;
use duress_checker::model::{Call, Model};
use duress_checker::property::linearizable::judge_model;
use duress_checker::property::{About, Property, PropertyKind, Settings, Source};
use duress_checker::verdict::PropertyVerdict;
use duress_http::{Client, Method, RequestError};
use duress_workloads::clients::ClientKind;
use duress_workloads::workload::own::OwnKind;
use duress_workloads::{Answer, Asker, CatalogueEntry, Endpoint, Op, Operation, Service, SpecError};
use duress_workloads::{Workload, WorkloadParameters};
use rand::RngExt;
use rand_chacha::ChaCha12Rng;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// The client: one lamp, which is the key `lamp` of the key-value store that ships with Duress.
struct Lamps(Client);

impl Lamps {
    async fn ask(&self, endpoint: &Endpoint, op: &Op) -> Result<Answer, RequestError> {
        let url = format!("http://{}/kv/lamp", endpoint.address);
        let body = json!({ "value": op.value });
        let reply = match op.f {
            "look" => self.0.call(Method::Get, &url, None).await?,
            _ => self.0.call(Method::Put, &url, Some(&body)).await?,
        };
        let answer = reply.json().unwrap_or_default();
        Ok(match (reply.status, op.f) {
            (200, "look") => Answer::Ok(answer["value"].clone()),
            (200, _) => Answer::Ok(op.value.clone()),
            (421 | 429, _) => Answer::Refused {
                error: answer["error"].to_string(),
                leader: answer["leader"].as_str().map(str::to_owned),
                retry_after: None,
            },
            (status, _) => Answer::unknown(format!("status {status}")),
        })
    }
}

#[async_trait]
impl Service for Lamps {
    async fn attempt(&self, endpoint: &Endpoint, op: &Op, _asker: Asker<'_>) -> Answer {
        // Of errors, only that nothing was sent proves that nothing happened.
        self.ask(endpoint, op).await.unwrap_or_else(Answer::from)
    }
}

/// The workload: `[workload.lamp]` of a spec.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct LampSpec {}

const OPERATIONS: &[Operation] = &[Operation::on_all("switch"), Operation::on_all("look")];

impl WorkloadParameters for LampSpec {
    const ABOUT: CatalogueEntry = CatalogueEntry {
        name: "lamp",
        description: "switches a lamp on and off, and looks whether it is on",
        model: None,
        properties: &["lamp-tells-the-truth"],
        operations: OPERATIONS,
        parameters: &[],
    };

    fn generator(&self) -> Result<Box<dyn Workload>, SpecError> {
        Ok(Box::new(self.clone()))
    }
}

impl Workload for LampSpec {
    fn next(&mut self, _process: u64, rng: &mut ChaCha12Rng) -> Op {
        match rng.random_bool(0.03) {
            true => Op::changing("switch", json!(rng.random_bool(0.5))),
            false => Op::observing("look"),
        }
    }

    fn final_ops(&mut self) -> Vec<Op> {
        vec![Op::observing("look")]
    }
}

/// The model: what a lamp does with one user and no faults. `None`: nobody has switched it yet.
struct Lamp;

impl Model for Lamp {
    /// `(true, what)` switches it, `(false, what)` sees it.
    type Op = (bool, Option<bool>);
    type State = Option<bool>;

    fn name(&self) -> &'static str {
        "lamp"
    }

    fn operation(&self, call: &Call<'_>) -> Result<Option<Self::Op>, String> {
        let switches = call.f == "switch";
        let what = Some(call.argument).filter(|_| switches).or(call.result);
        Ok(what.map(|what| (switches, call.values.bool(what.first))))
    }

    fn initial(&self) -> Self::State {
        None
    }

    fn step(&self, on: &Self::State, (switches, what): &Self::Op, next: &mut Vec<Self::State>) {
        if *switches || what == on {
            next.push(*what);
        }
    }
}

/// The property: whoever looks sees what the lamp was switched to last.
struct TellsTheTruth;

const ABOUT: About = About {
    name: "lamp-tells-the-truth",
    claim: "whoever looks sees what the lamp was switched to last",
    kind: PropertyKind::Safety,
    judges: Source::Operations,
    parameters: &[],
};

impl Property for TellsTheTruth {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn judge(&self, trace: &Trace<'_>, settings: &Settings<'_>) -> PropertyVerdict {
        judge_model(&ABOUT, &Lamp, trace, settings)
    }
}

fn main() -> ExitCode {
    let proof = "the store says that it is not the leader, or that it is overloaded";
    let client = ClientKind::new("lamp", OPERATIONS, proof, |options| {
        Ok(Box::new(Lamps(Client::new(options.http())?)))
    });
    extension::main(Extension {
        clients: vec![client],
        workloads: vec![OwnKind::of::<LampSpec>()],
        properties: vec![&TellsTheTruth],
    })
}
