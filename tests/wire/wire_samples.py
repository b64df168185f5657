"""Every message once or more, beside its bytes, written by hand from the manual's chapter on message formats."""

from __future__ import annotations

from proxy.wire import messages as m

FRONTEND: list[tuple[bytes, m.Message]] = [
    (b"Q\0\0\0\x0dselect 1\0", m.Query(b"select 1")),
    (b"Q\0\0\0\x05\0", m.Query(b"")),
    (b"P\0\0\0\x0e\0select\0\0\0", m.Parse("", b"select", ())),
    (b"P\0\0\0\x14s1\0select\0\0\x01\0\0\0\x17", m.Parse("s1", b"select", (23,))),
    (b"B\0\0\0\x0c\0\0\0\0\0\0\0\0", m.Bind("", "")),
    (
        b"B\0\0\0\x22p\0s\0\0\x01\0\x01\0\x03\0\0\0\x021\x00\xff\xff\xff\xff\0\0\0\0\0\x02\0\0\0\x01",
        m.Bind("p", "s", (1,), (b"1\0", None, b""), (0, 1)),
    ),
    (b"D\0\0\0\x06S\0", m.Describe("S", "")),
    (b"D\0\0\0\x08Ppq\0", m.Describe("P", "pq")),
    (b"E\0\0\0\x0ap\0\0\0\0\x05", m.Execute("p", 5)),
    (b"E\0\0\0\x09\0\0\0\0\0", m.Execute("")),
    (b"C\0\0\0\x07Ss\0", m.Close("S", "s")),
    (b"H\0\0\0\x04", m.Flush()),
    (b"S\0\0\0\x04", m.Sync()),
    (b"X\0\0\0\x04", m.Terminate()),
    (
        b"F\0\0\0\x16\0\0\x05\x39\0\x01\0\0\0\x01\0\0\0\x02hi\0\x01",
        m.FunctionCall(1337, (0,), (b"hi",), 1),
    ),
    (b"d\0\0\0\x08a\tb\n", m.CopyData(b"a\tb\n")),
    (b"d\0\0\0\x04", m.CopyData(b"")),
    (b"c\0\0\0\x04", m.CopyDone()),
    (b"f\0\0\0\x08why\0", m.CopyFail("why")),
    (b"p\0\0\0\x08pwd\0", m.PasswordMessage(b"pwd\0")),
]

BACKEND: list[tuple[bytes, m.Message]] = [
    (b"R\0\0\0\x08\0\0\0\0", m.AuthenticationOk()),
    (b"R\0\0\0\x08\0\0\0\x02", m.AuthenticationKerberosV5()),
    (b"R\0\0\0\x08\0\0\0\x03", m.AuthenticationCleartextPassword()),
    (b"R\0\0\0\x0c\0\0\0\x05salt", m.AuthenticationMD5Password(b"salt")),
    (b"R\0\0\0\x08\0\0\0\x07", m.AuthenticationGSS()),
    (b"R\0\0\0\x0a\0\0\0\x08gs", m.AuthenticationGSSContinue(b"gs")),
    (b"R\0\0\0\x08\0\0\0\x09", m.AuthenticationSSPI()),
    (
        b"R\0\0\0\x17\0\0\0\x0aSCRAM-SHA-256\0\0",
        m.AuthenticationSASL(("SCRAM-SHA-256",)),
    ),
    (b"R\0\0\0\x0b\0\0\0\x0br=x", m.AuthenticationSASLContinue(b"r=x")),
    (b"R\0\0\0\x0b\0\0\0\x0cv=x", m.AuthenticationSASLFinal(b"v=x")),
    (b"K\0\0\0\x0c\0\0\0\x07\0\x01\x02\x03", m.BackendKeyData(7, b"\0\x01\x02\x03")),
    (b"K\0\0\0\x28\0\0\0\x07" + b"k" * 32, m.BackendKeyData(7, b"k" * 32)),
    (b"S\0\0\0\x11TimeZone\0GMT\0", m.ParameterStatus("TimeZone", "GMT")),
    (b"Z\0\0\0\x05I", m.ReadyForQuery("I")),
    (b"Z\0\0\0\x05T", m.ReadyForQuery("T")),
    (b"Z\0\0\0\x05E", m.ReadyForQuery("E")),
    (b"T\0\0\0\x06\0\0", m.RowDescription(())),
    (
        b"T\0\0\0\x1b\0\x01id\0\0\0\x40\x01\0\x02\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\x01",
        m.RowDescription((m.FieldDescription("id", 16385, 2, 25, -1, -1, 1),)),
    ),
    (b"D\0\0\0\x06\0\0", m.DataRow(())),
    (
        b"D\0\0\0\x15\0\x03\0\0\0\x03abc\xff\xff\xff\xff\0\0\0\0",
        m.DataRow((b"abc", None, b"")),
    ),
    (b"C\0\0\0\x0dSELECT 1\0", m.CommandComplete("SELECT 1")),
    (
        b"E\0\0\0\x1eSERROR\0VERROR\0C42501\0Mno\0\0",
        m.ErrorResponse((("S", "ERROR"), ("V", "ERROR"), ("C", "42501"), ("M", "no"))),
    ),
    (b"N\0\0\0\x0aMhey\0\0", m.NoticeResponse((("M", "hey"),))),
    (b"1\0\0\0\x04", m.ParseComplete()),
    (b"2\0\0\0\x04", m.BindComplete()),
    (b"3\0\0\0\x04", m.CloseComplete()),
    (b"n\0\0\0\x04", m.NoData()),
    (b"s\0\0\0\x04", m.PortalSuspended()),
    (b"I\0\0\0\x04", m.EmptyQueryResponse()),
    (b"t\0\0\0\x0e\0\x02\0\0\0\x17\xff\xff\xff\xff", m.ParameterDescription((23, 0xFFFFFFFF))),
    (b"G\0\0\0\x0b\0\0\x02\0\0\0\0", m.CopyInResponse(0, (0, 0))),
    (b"H\0\0\0\x09\x01\0\x01\0\x01", m.CopyOutResponse(1, (1,))),
    (b"W\0\0\0\x07\0\0\0", m.CopyBothResponse(0, ())),
    (b"d\0\0\0\x05x", m.CopyData(b"x")),
    (b"c\0\0\0\x04", m.CopyDone()),
    (b"A\0\0\0\x0d\0\0\0\x09ch\0p\0", m.NotificationResponse(9, "ch", "p")),
    (b"V\0\0\0\x0a\0\0\0\x02ok", m.FunctionCallResponse(b"ok")),
    (b"V\0\0\0\x08\xff\xff\xff\xff", m.FunctionCallResponse(None)),
    (
        b"v\0\0\0\x13\0\x03\0\x02\0\0\0\x01_pq_.x\0",
        m.NegotiateProtocolVersion(0x30002, ("_pq_.x",)),
    ),
]
