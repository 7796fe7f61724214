pub mod direct;
mod tree;
