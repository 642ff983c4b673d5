mod baseline;
mod comparison;
mod convergence;
mod formulas;
mod samples;
mod simulation;
