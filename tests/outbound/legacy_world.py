"""The two records of seed 004, Appendix A. They are no conversion of each other."""

from typing import Any
from uuid import uuid4

APPENDIX_OLD: dict[str, Any] = {
    "id": "550e8400-e29b-41d4-a716-446655440000",
    "customerId": "CUST-123",
    "customerName": "John Doe",
    "customerEmail": "john@example.com",
    "customerPhone": "+1-555-0100",
    "serviceType": "technical-support",
    "priority": 8,
    "status": "waiting",
    "notes": "Needs urgent help",
    "estimatedWaitTime": 15,
    "createdAt": "2025-11-01T10:00:00Z",
    "updatedAt": "2025-11-01T10:05:00Z",
    "notificationsSent": [],
}

APPENDIX_NEW: dict[str, Any] = {
    "id": "550e8400-e29b-41d4-a716-446655440000",
    "message_id": "<20251101100000.abc123@mail.example.com>",
    "queue_name": "example.com",
    "recipient": "john@example.com",
    "sender": "newsletter@company.com",
    "domain": "example.com",
    "routing_domain": "mx.example.com",
    "campaign_id": "campaign-2025-11",
    "tenant_id": "TENANT-123",
    "pool_name": "marketing-pool",
    "status": "ready",
    "queue_state": "active",
    "priority": 8,
    "size_bytes": 45678,
    "num_attempts": 0,
    "max_attempts": 20,
    "created_at": "2025-11-01T10:00:00Z",
    "scheduled_at": "2025-11-01T10:15:00Z",
    "headers": {
        "Subject": "Weekly Newsletter",
        "From": "newsletter@company.com",
        "To": "john@example.com",
    },
    "tags": ["newsletter", "marketing"],
    "metadata": {"notes": "High-value customer", "customer_segment": "premium"},
}


def old_record(**more: Any) -> dict[str, Any]:
    """A record of its own."""
    return APPENDIX_OLD | {"id": str(uuid4())} | more
