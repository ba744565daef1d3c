//! The scanner as the core's port.

use remit_core::{Detector, Finding};

use crate::{Scanner, stream};

impl Detector for Scanner {
    fn find(&self, text: &[u8]) -> Vec<Finding> {
        self.scan(text).into_iter().map(Finding::from).collect()
    }

    fn reach(&self) -> usize {
        stream::AHEAD
    }
}
