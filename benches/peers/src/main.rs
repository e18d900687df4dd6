//! penalty and other Rust libraries, one run at a time, as `compare.py` asks.
//!
//! Each line of standard input is a request in JSON, each line of standard output the answer:
//!
//! - `{"load": FOLDER, "operation": NAME}`: reads the numbers and gets every contender ready. The answer is
//!   `{"contenders": [NAME, …]}`.
//! - `{"check": CONTENDER}`: runs once; `{"answer": [scalar, Σ|result|, non-zeros]}`.
//! - `{"time": CONTENDER, "runs": N}`: `{"seconds": [the time of each run, …]}`.

mod candle;
mod contender;
mod faer;
mod flex;
mod loops;
mod nd;
mod ours;

use std::error::Error;
use std::io::{BufRead, Write};
use std::path::Path;
use std::rc::Rc;
use std::time::Instant;

use contender::{Contender, Input};
use penalty::Cpu;
use penalty::cpu::InstructionSet;
use serde_json::{Value, json};

fn main() -> Result<(), Box<dyn Error>> {
    let cpu = match std::env::args().nth(1).as_deref() {
        None | Some("best") => Cpu::new(),
        Some("avx2") => Cpu::with_instructions(InstructionSet::Avx2)?,
        Some("avx512") => Cpu::with_instructions(InstructionSet::Avx512)?,
        Some(other) => return Err(format!("expected best, avx2 or avx512, found {other}").into()),
    };
    let mut contenders: Vec<Contender> = Vec::new();
    let mut out = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let answer = answer(&serde_json::from_str(&line?)?, &cpu, &mut contenders);
        writeln!(out, "{}", answer.unwrap_or_else(|error| json!({ "error": error.to_string() })))?;
        out.flush()?;
    }
    Ok(())
}

fn answer(request: &Value, cpu: &Cpu, contenders: &mut Vec<Contender>) -> Result<Value, Box<dyn Error>> {
    if let Some(folder) = request["load"].as_str() {
        // Those of the last request free their memory first.
        contenders.clear();
        let input = Rc::new(Input::read(Path::new(folder))?);
        let operation = request["operation"].as_str().unwrap_or_default();
        contenders.extend(ours::contenders(operation, &input, cpu)?);
        contenders.extend(loops::contenders(operation, &input));
        contenders.extend(nd::contenders(operation, &input));
        contenders.extend(faer::contenders(operation, &input));
        contenders.extend(candle::contenders(operation, &input)?);
        contenders.extend(flex::contenders(operation, &input));
        return Ok(json!({ "contenders": contenders.iter().map(|c| c.name).collect::<Vec<_>>() }));
    }
    let name = request["check"].as_str().or(request["time"].as_str()).ok_or("an unknown request")?;
    let contender = contenders.iter_mut().find(|c| c.name == name).ok_or("an unknown contender")?;
    if request["check"].is_string() {
        contender.restore();
        contender.run()?;
        return Ok(json!({ "answer": contender.answer() }));
    }
    let mut seconds = Vec::new();
    for _ in 0..request["runs"].as_u64().unwrap_or(1) {
        contender.restore();
        let started = Instant::now();
        contender.run()?;
        seconds.push(started.elapsed().as_secs_f64());
    }
    Ok(json!({ "seconds": seconds }))
}
