//! The REST and WebSocket door.
