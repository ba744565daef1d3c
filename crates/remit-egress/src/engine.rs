//! What every connection of one enforcement point shares.

use std::{io, sync::Arc, time::Duration};

use remit_core::{
    AccessRequest, Action, AddressRule, Denial, Guard, Host, ModelApi, Obligation, Permit,
    ReasonCode, Resource, TlsMode,
};
use tokio::sync::{Semaphore, watch};

use crate::{
    Authority, Inspection, Reach, Resolver, UpstreamTrust,
    budget::Budget,
    live::{LiveTable, Registered},
    names::SaidNames,
    places::{Place, Places},
    upstream::{Dialer, Pool, Target},
};

/// Guard, authority, way out, and what is live.
pub(crate) struct Engine {
    pub(crate) guard: Arc<Guard>,
    pub(crate) authority: Arc<Authority>,
    pub(crate) dialer: Dialer,
    pub(crate) pool: Pool,
    pub(crate) live: Arc<LiveTable>,
    pub(crate) budget: Arc<Budget>,
    /// Connections that may be open at once.
    pub(crate) places: Places,
    /// Names that explicit clients spelt.
    said: SaidNames,
    /// What bodies pass, where anything is looked at.
    pub(crate) inspection: Option<Arc<Inspection>>,
    /// HTTP/2 streams that may be under way at once: each buffers some of its bodies.
    pub(crate) streams: Arc<Semaphore>,
    /// KiB of bodies that may be gathered at once.
    pub(crate) gathering: Arc<Semaphore>,
}

/// A permitted connection with its duties.
pub(crate) struct Admission {
    pub(crate) target: Target,
    pub(crate) tls: TlsMode,
    pub(crate) model: Option<ModelApi>,
    pub(crate) registered: Registered,
}

impl Engine {
    pub(crate) fn new(
        guard: Arc<Guard>,
        authority: Arc<Authority>,
        trust: UpstreamTrust,
        resolver: Resolver,
        reach: Reach,
        egress_bytes: Option<u64>,
        inspection: Option<Inspection>,
    ) -> io::Result<Arc<Self>> {
        let budget = Arc::new(Budget::new(egress_bytes));
        let dialer = Dialer::new(Arc::clone(&guard), Arc::clone(&budget), resolver, trust, reach);
        Ok(Arc::new(Self {
            guard,
            authority,
            dialer,
            pool: Pool::default(),
            live: Arc::default(),
            budget,
            places: Places::new(),
            said: SaidNames::default(),
            inspection: inspection.map(Arc::new),
            streams: Arc::new(Semaphore::new(MOST_STREAMS)),
            gathering: Arc::new(Semaphore::new(GATHERING)),
        }))
    }

    /// Keeps watch over permissions and idle connections; runs until it is aborted.
    pub(crate) async fn watch(
        self: Arc<Self>,
        policy: watch::Receiver<u64>,
        on_policy: impl Fn() + Send + Sync,
    ) {
        let live = Arc::clone(&self.live);
        let watching =
            live.watch(Arc::clone(&self.guard), Arc::clone(&self.budget), policy, || {
                // Kept connections were vetted under the old rules.
                self.pool.clear();
                on_policy();
            });
        let sweeping = async {
            loop {
                tokio::time::sleep(SWEEP).await;
                self.pool.sweep();
            }
        };
        tokio::join!(watching, sweeping);
    }

    /// Asks the guard for a connection to `host:port`, for the holder of `place`.
    pub(crate) async fn admit(
        &self,
        host: &Host,
        port: u16,
        place: &Arc<Place>,
    ) -> Result<Admission, Denial> {
        let resource = Resource::Endpoint { host: host.clone(), port };
        let request = AccessRequest::new(Action::Connect, resource);
        if self.budget.is_spent() {
            return Err(self.refuse(&request, ReasonCode::LimitReached));
        }
        let permit = match self.guard.check_async(request.clone()).await {
            Ok(permit) => permit,
            Err(denial) => {
                self.live.count_refused(host, port);
                return Err(denial);
            }
        };
        let (tls, rule, model) = match duties(&permit) {
            Some(duties) => duties,
            None => return Err(self.refuse(&request, ReasonCode::UnsupportedProtocol)),
        };
        let now = self.guard.now();
        let registered = self.live.enter((host, port), request, &permit, now, place);
        let target = Target::new(host.clone(), port, rule, permit.correlation);
        Ok(Admission { target, tls, model, registered })
    }

    /// The same for a name that was not looked up before but came with the connection: resolving
    /// it tells it to the domain's name server.
    pub(crate) async fn admit_said(
        &self,
        host: &Host,
        port: u16,
        place: &Arc<Place>,
    ) -> Result<Admission, Denial> {
        let admission = self.admit(host, port, place).await?;
        if self.said.admit(host) {
            return Ok(admission);
        }
        let question = admission.target.question(Some("too many made-up names".into()));
        Err(self.refuse(&question, ReasonCode::LimitReached))
    }

    /// Records a refusal of this point's own and counts it.
    pub(crate) fn refuse(&self, request: &AccessRequest, reason: ReasonCode) -> Denial {
        match &request.resource {
            Resource::Name(host) => self.live.count_refused(host, 0),
            Resource::Endpoint { host, port } | Resource::Http { host, port, .. } => {
                self.live.count_refused(host, *port);
            }
            _ => {}
        }
        self.guard.refuse(request, reason)
    }

    /// Ends everything.
    pub(crate) fn shut_down(&self) {
        self.live.end_all();
        self.pool.clear();
    }
}

/// The duties of a connect permit; `None` when there is one that this point does not know.
fn duties(permit: &Permit) -> Option<(TlsMode, AddressRule, Option<ModelApi>)> {
    let mut model = None;
    let mut tls = TlsMode::Intercept;
    // Without the duty no address is permitted.
    let mut rule = AddressRule::default();
    for duty in &permit.obligations {
        match duty {
            Obligation::Tls(mode) => tls = *mode,
            Obligation::Addresses(addresses) => rule = addresses.clone(),
            Obligation::Model(api) => model = Some(*api),
            Obligation::Ports(_) => {}
            _ => return None,
        }
    }
    Some((tls, rule, model))
}

const MOST_STREAMS: usize = 1024;
/// 256 MiB.
const GATHERING: usize = 256 << 10;
const SWEEP: Duration = Duration::from_secs(20);
