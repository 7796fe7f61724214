//! What the pages look like, as text and in a browser.

mod browser;
mod measured;
mod pages;
mod sample;
mod schema;
