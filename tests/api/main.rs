//! What is accepted, what is rejected, and the words that say so.

#[path = "../common/mod.rs"]
mod common;

#[cfg(feature = "gpu")]
mod adapters;
mod calls;
mod constructors;
mod custom;
mod examples;
mod gradients;
mod groups;
mod instructions;
mod layers;
mod messages;
mod names;
mod optimizers;
mod partials;
mod penalties;
mod readme;
#[cfg(feature = "serde")]
mod serialized;
mod sets;
mod weighted;
