//! A program that embeds Hiqlite: one node of the cluster, and statements over HTTP for whoever wants to ask it.
//!
//! ```text
//! POST /execute {"sql":"UPDATE t SET v = ?2 WHERE k = ?1","parameters":["k1",7]}   {"changed":1}
//! POST /query   {"sql":"SELECT v FROM t WHERE k = ?1","parameters":["k1"]}         {"rows":["7"]}, the column v, of text
//! GET  /status                                                                     {"role":"leader","term":3,…}
//! ```
//!
//! `/execute` is Hiqlite's `Client::execute`; `/query` its `query_consistent_map`, and with `"local":true` its `query_map`. Whoever
//! doesn't lead answers 421 and who does, before Hiqlite is asked: `{"error":"not the leader","leader":"n2"}`. What Hiqlite answers
//! with `ForwardToLeader` is 421, too; any other error of Hiqlite is 500. A local query is answered by every node.
//!
//! From the environment: `NODES`, names of all nodes, the first of which sets the cluster up; `HOSTNAME`, which of them this is;
//! `LOGS_UNTIL_SNAPSHOT`, after how many entries of the log Hiqlite makes a snapshot.

use std::env;
use std::error::Error;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use hiqlite::{Client, Node, NodeConfig, Param, Row};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// For statements over HTTP. Hiqlite has two ports of its own.
const PORT: u16 = 7000;
const PORT_RAFT: u16 = 7001;
const PORT_API: u16 = 7002;

const DATA: &str = "/var/lib/hiqlite";

/// Of a network that nobody else is on.
const SECRET: &str = "not-a-secret-not-a-secret";

/// Registers, counters and lists are JSON of a key.
const TABLES: [&str; 2] = [
    "CREATE TABLE IF NOT EXISTS objects (k TEXT PRIMARY KEY, v TEXT NOT NULL) STRICT",
    "CREATE TABLE IF NOT EXISTS elements (v TEXT PRIMARY KEY) STRICT",
];

type Answer = (StatusCode, Json<Value>);

/// A statement and its parameters: null, integers and text.
#[derive(Deserialize)]
struct Statement {
    sql: String,
    parameters: Vec<Value>,
    #[serde(default)]
    local: bool,
}

/// The column `v` of a row.
struct Cell(String);

impl From<&mut Row<'_>> for Cell {
    fn from(row: &mut Row<'_>) -> Self {
        Cell(row.get("v"))
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt()
        .with_env_filter("info")
        .with_ansi(false)
        .init();
    let names: Vec<String> = env::var("NODES")?.split(',').map(str::to_owned).collect();
    let own = env::var("HOSTNAME")?;
    let position = names
        .iter()
        .position(|name| *name == own)
        .ok_or("HOSTNAME is not one of NODES")?;
    let nodes = (1u64..).zip(&names).map(|(id, name)| Node {
        id,
        addr_raft: format!("{name}:{PORT_RAFT}"),
        addr_api: format!("{name}:{PORT_API}"),
    });
    let logs_until_snapshot = env::var("LOGS_UNTIL_SNAPSHOT")?.parse()?;
    let client = hiqlite::start_node(NodeConfig {
        node_id: position as u64 + 1,
        nodes: nodes.collect(),
        data_dir: DATA.into(),
        secret_raft: SECRET.to_owned(),
        secret_api: SECRET.to_owned(),
        raft_config: NodeConfig::default_raft_config(logs_until_snapshot),
        ..NodeConfig::default()
    })
    .await?;
    let mut shutdown = client.shutdown_handle()?;
    for table in TABLES {
        client.execute(table, Vec::new()).await?;
    }
    let routes = Router::new()
        .route("/execute", post(execute))
        .route("/query", post(query))
        .route("/status", get(status))
        .with_state(client);
    let listener = TcpListener::bind(("0.0.0.0", PORT)).await?;
    tokio::select! {
        served = axum::serve(listener, routes) => served?,
        ended = shutdown.wait() => ended?,
    }
    Ok(())
}

async fn execute(State(client): State<Client>, Json(statement): Json<Statement>) -> Answer {
    if let Some(refusal) = not_the_leader(&client).await {
        return refusal;
    }
    match client
        .execute(statement.sql, parameters(statement.parameters))
        .await
    {
        Ok(changed) => (StatusCode::OK, Json(json!({ "changed": changed }))),
        Err(error) => refused(&error),
    }
}

async fn query(State(client): State<Client>, Json(statement): Json<Statement>) -> Answer {
    let parameters = parameters(statement.parameters);
    let rows = if statement.local {
        client.query_map::<Cell, _>(statement.sql, parameters).await
    } else {
        if let Some(refusal) = not_the_leader(&client).await {
            return refusal;
        }
        client
            .query_consistent_map::<Cell, _>(statement.sql, parameters)
            .await
    };
    match rows {
        Ok(rows) => {
            let rows: Vec<String> = rows.into_iter().map(|cell| cell.0).collect();
            (StatusCode::OK, Json(json!({ "rows": rows })))
        }
        Err(error) => refused(&error),
    }
}

/// The metrics of a Raft that has stopped stay what they were last, so that it counts as an error, as for Hiqlite's own health.
async fn status(State(client): State<Client>) -> Answer {
    let metrics = client.metrics_db().await.and_then(|metrics| {
        metrics.running_state.clone()?;
        Ok(metrics)
    });
    match metrics {
        Ok(metrics) => {
            let status = json!({
                "role": format!("{:?}", metrics.state).to_lowercase(),
                "term": metrics.current_term,
                "leader": metrics.current_leader.map(name),
                "applied": metrics.last_applied.map_or(0, |last| last.index),
            });
            (StatusCode::OK, Json(status))
        }
        Err(error) => refused(&error),
    }
}

/// The answer of a node that doesn't lead, as far as it knows.
async fn not_the_leader(client: &Client) -> Option<Answer> {
    match client.metrics_db().await {
        Ok(metrics) if metrics.current_leader == Some(metrics.id) => None,
        Ok(metrics) => {
            let body = json!({ "error": "not the leader", "leader": metrics.current_leader.map(name) });
            Some((StatusCode::MISDIRECTED_REQUEST, Json(body)))
        }
        Err(error) => Some(refused(&error)),
    }
}

fn refused(error: &hiqlite::Error) -> Answer {
    let (status, leader) = match error.is_forward_to_leader() {
        Some((leader, _)) => (StatusCode::MISDIRECTED_REQUEST, leader),
        None => (StatusCode::INTERNAL_SERVER_ERROR, None),
    };
    let body = json!({ "error": error.to_string(), "leader": leader.map(name) });
    (status, Json(body))
}

fn name(id: u64) -> String {
    format!("n{id}")
}

fn parameters(values: Vec<Value>) -> Vec<Param> {
    let parameter = |value: Value| match value {
        Value::String(text) => Param::Text(text),
        other => other.as_i64().map_or(Param::Null, Param::Integer),
    };
    values.into_iter().map(parameter).collect()
}
