use super::{Problem, Problems, Severity};
use std::fmt;

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

/// One block, in the form in which compilers report, without a newline at its end.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.severity)?;
        if !self.path.is_empty() {
            write!(f, "`{}` ", self.path)?;
        }
        f.write_str(&self.what)?;
        if let Some(allowed) = &self.allowed {
            write!(f, ", but must be {allowed}")?;
        }
        write!(f, "\n  --> {}", self.file)?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        if let Some((line, width)) = &self.excerpt {
            let number = self.line.to_string();
            let margin = " ".repeat(number.len());
            // Tabs are kept, so that the marks stand below what they mark.
            let lead = line.chars().take(self.column.saturating_sub(1));
            let lead: String = lead.map(|c| if c == '\t' { c } else { ' ' }).collect();
            let marks = "^".repeat((*width).max(1));
            write!(
                f,
                "\n{margin} |\n{number} | {line}\n{margin} | {lead}{marks}"
            )?;
        }
        if let Some(meant) = &self.did_you_mean {
            write!(f, "\n  = did you mean `{meant}`?")?;
        }
        Ok(())
    }
}

/// The blocks, one after the other, with an empty line between them.
impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.iter().enumerate() {
            if index > 0 {
                f.write_str("\n\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}
