//! What is accepted, what is rejected, and the words that say so.

#[path = "../common/mod.rs"]
mod common;

mod backends;
mod calls;
mod constructors;
mod custom;
mod gradients;
mod groups;
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
