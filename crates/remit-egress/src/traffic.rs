//! Totals by host and port, for people; bounded, since an agent chooses the names it asks for.

use std::collections::BTreeMap;

use remit_core::{Host, HostTraffic};

/// Hosts and ports that are told apart.
const MOST_HOSTS: usize = 256;

/// Totals of what is over, by host and port.
#[derive(Clone, Default)]
pub(crate) struct TrafficTable {
    hosts: BTreeMap<(String, u16), HostTraffic>,
    /// All others together.
    others: HostTraffic,
}

impl TrafficTable {
    /// The totals of a host and port, to add to.
    pub(crate) fn of(&mut self, host: &Host, port: u16) -> &mut HostTraffic {
        let key = (host.to_string(), port);
        if self.hosts.len() >= MOST_HOSTS && !self.hosts.contains_key(&key) {
            return &mut self.others;
        }
        let (host, port) = key.clone();
        self.hosts.entry(key).or_insert_with(|| HostTraffic {
            host,
            port,
            ..HostTraffic::default()
        })
    }

    /// All totals, the busiest first.
    pub(crate) fn all(&self) -> Vec<HostTraffic> {
        let mut all: Vec<HostTraffic> = self.hosts.values().cloned().collect();
        all.sort_by_key(|one| std::cmp::Reverse(one.bytes_up.saturating_add(one.bytes_down)));
        let others = HostTraffic { host: "*".to_owned(), ..self.others.clone() };
        if self.others != HostTraffic::default() {
            all.push(others);
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_up_names_take_bounded_space() {
        let mut table = TrafficTable::default();
        for number in 0..10_000 {
            let host = Host::parse(&format!("n{number}.example.org")).expect("a host");
            table.of(&host, 443).refused += 1;
        }
        let all = table.all();
        assert_eq!(all.len(), MOST_HOSTS + 1);
        assert_eq!(all.iter().map(|one| one.refused).sum::<u64>(), 10_000);
        assert!(all.iter().any(|one| one.host == "*"));
    }
}
