//! Optimizers in serde's formats. What a step would reject is rejected when it is read.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::optimizer::{Adam, Momentum, Sgd};
use crate::formula::scalars::Metric;
use crate::numeric::serialized as number;

#[derive(Serialize, Deserialize)]
#[serde(remote = "Sgd", rename = "Sgd", deny_unknown_fields)]
struct SgdFields {
    #[serde(with = "number")]
    step: f64,
    momentum: Momentum,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Momentum", rename = "Momentum", rename_all = "snake_case", deny_unknown_fields)]
enum MomentumFields {
    None,
    HeavyBall {
        #[serde(with = "number")]
        momentum: f64,
        #[serde(with = "number")]
        dampening: f64,
    },
    Nesterov {
        #[serde(with = "number")]
        momentum: f64,
        #[serde(with = "number")]
        dampening: f64,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Adam", rename = "Adam", deny_unknown_fields)]
struct AdamFields {
    #[serde(with = "number")]
    step: f64,
    #[serde(with = "number")]
    beta1: f64,
    #[serde(with = "number")]
    beta2: f64,
    #[serde(with = "number")]
    epsilon: f64,
    #[serde(with = "number")]
    decay: f64,
    metric: Metric,
    iteration: u64,
}

impl Serialize for Sgd {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        SgdFields::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for Sgd {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Sgd, D::Error> {
        let sgd = SgdFields::deserialize(deserializer)?;
        sgd.scalars().map_err(D::Error::custom)?;
        Ok(sgd)
    }
}

/// As `"none"` or as `{"heavy_ball": {"momentum": 0.9, "dampening": 0.0}}`.
impl Serialize for Momentum {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        MomentumFields::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for Momentum {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Momentum, D::Error> {
        let momentum = MomentumFields::deserialize(deserializer)?;
        Sgd { step: 0.0, momentum }.scalars().map_err(D::Error::custom)?;
        Ok(momentum)
    }
}

impl Serialize for Adam {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        AdamFields::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for Adam {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Adam, D::Error> {
        let adam = AdamFields::deserialize(deserializer)?;
        adam.scalars().map_err(D::Error::custom)?;
        Ok(adam)
    }
}
