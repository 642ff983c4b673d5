//! Each table of the file is declared once. Reading, describing and showing follow from that.

#[macro_use]
mod choices;
#[macro_use]
mod fields;
#[macro_use]
mod tables;
