//! The settings of sockets, and how they are made.

use std::io;
use std::net::{IpAddr, SocketAddr};

use socket2::SockRef;
use tokio::net::TcpSocket;

use super::addresses::AddressChoice;
use super::keepalive::Keepalive;
use super::resolve::Resolver;
use crate::policy::build_error::BuildError;
use crate::transport::failure;

#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) nodelay: bool,
    pub(super) keepalive: Option<Keepalive>,
    pub(super) local_address: Option<IpAddr>,
    pub(super) address_choice: AddressChoice,
    pub(super) resolver: Resolver,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            nodelay: true,
            keepalive: None,
            local_address: None,
            address_choice: AddressChoice::default(),
            resolver: Resolver::default(),
        }
    }
}

impl Settings {
    pub(super) fn check(&self) -> Result<(), BuildError> {
        self.keepalive.as_ref().map_or(Ok(()), Keepalive::check)
    }

    /// Returns whether the peer is of a family that can be dialed from the local address.
    pub(super) fn reaches(&self, peer: SocketAddr) -> bool {
        self.local_address.is_none_or(|local| local.is_ipv4() == peer.is_ipv4())
    }

    /// Makes an unconnected socket for this peer, with all options set.
    pub(super) fn socket(&self, peer: SocketAddr) -> io::Result<TcpSocket> {
        let socket = if peer.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        socket.set_nodelay(self.nodelay)?;
        if let Some(keepalive) = &self.keepalive {
            let failed = |error| failure::of("keepalive could not be set".to_owned(), error);
            keepalive.set(&SockRef::from(&socket)).map_err(failed)?;
        }
        if let Some(local) = self.local_address {
            if !self.reaches(peer) {
                let message = format!(
                    "local_address is {local}: it cannot reach {peer}, which is of the other family"
                );
                return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
            }
            let failed =
                |error| failure::of(format!("local_address {local} cannot be used"), error);
            socket.bind(SocketAddr::new(local, 0)).map_err(failed)?;
        }
        Ok(socket)
    }
}
