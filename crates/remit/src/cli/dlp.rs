//! `remit dlp`

use std::path::PathBuf;

use clap::{Args, Subcommand};
use remit_core::DataClass;

use super::Format;

/// `remit dlp`
#[derive(Debug, Subcommand)]
pub(crate) enum DlpCommand {
    /// Find secrets and personal data, also behind encodings, in archives and documents.
    Scan(ScanArguments),
    /// Print a text with secrets and personal data removed.
    Redact(RedactArguments),
}

/// `remit dlp scan`
#[derive(Debug, Args)]
#[command(after_long_help = "\
A finding is a line: {\"path\", \"start\", \"end\", \"class\", \"confidence\", \"via\"}, with offsets in bytes of
the file; `via` names what was decoded to see it, outermost first. Values are not printed.

Classes: PERSON, ADDRESS, LOCATION, ORGANIZATION, EMAIL, PHONE, CREDIT_CARD, IBAN, BANK_ACCOUNT,
NATIONAL_ID, DATE_OF_BIRTH, IP_ADDRESS, MEDICAL, SALARY, CRYPTO_WALLET (group `pii`); API_KEY, PASSWORD,
PRIVATE_KEY, JWT, CONNECTION_STRING, BEARER, SEED_PHRASE (group `secrets`).

Examples:
  remit dlp scan .
  git diff | remit dlp scan --classes secrets -
  remit dlp scan report.docx --format text

Ends with 0 when nothing was found, with 1 when something was, with 2 when something could not be
read or looked into.")]
pub(crate) struct ScanArguments {
    /// Only these classes or groups, separated by commas.
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = class)]
    pub(crate) classes: Vec<DataClass>,
    /// Files and folders; `-`, and nothing, is standard input.
    #[arg(value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// How findings are printed.
    #[arg(long, value_enum, default_value = "jsonl")]
    pub(crate) format: Format,
}

/// `remit dlp redact`
#[derive(Debug, Args)]
#[command(after_long_help = "\
Every value becomes its class in brackets, such as [EMAIL]; that cannot be undone.

Examples:
  remit dlp redact app.log > app.redacted.log
  kubectl describe pod web | remit dlp redact --classes secrets

Ends with 2, and prints nothing, when something could not be read or looked into.")]
pub(crate) struct RedactArguments {
    /// Only these classes or groups, separated by commas.
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = class)]
    pub(crate) classes: Vec<DataClass>,
    /// The file; `-`, and nothing, is standard input.
    #[arg(value_name = "PATH")]
    pub(crate) path: Option<PathBuf>,
}

fn class(text: &str) -> Result<DataClass, String> {
    DataClass::parse(text.trim())
        .ok_or_else(|| "no such class or group; `--help` lists them".to_owned())
}
