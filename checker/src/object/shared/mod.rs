pub mod elements;
pub mod line;
pub mod lookup;
pub mod print;
