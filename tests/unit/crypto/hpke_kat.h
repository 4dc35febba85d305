/* Known answers for HPKE (RFC 9180), base mode, HKDF-SHA256, AES-256-GCM: made with OSSL_HPKE
 * of OpenSSL 3.5 from the ikm, info, aad and plain text of RFC 9180 appendix A.  The RFC itself
 * has no vectors for this AEAD with these KEMs; skRm, pkRm and enc are the RFC's. */
#ifndef TEST_HPKE_KAT_H
#define TEST_HPKE_KAT_H

struct hpke_kat {
	unsigned kem;
	const char *info, *ikm_e, *ikm_r, *pk_r, *sk_r, *enc, *aad, *pt, *ct;
};

static const struct hpke_kat hpke_kats[] = {
	{
		.kem = 0x0020,
		.info = "4f6465206f6e2061204772656369616e2055726e",
		.ikm_e = "7268600d403fce431561aef583ee1613527cff655c1343f29812e66706df3234",
		.ikm_r = "6db9df30aa07dd42ee5e8181afdb977e538f5e1fec8a06223f33f7013e525037",
		.pk_r = "3948cfe0ad1ddb695d780e59077195da6c56506b027329794ab02bca80815c4d",
		.sk_r = "4012c550263fc8ad58375df3f557aac531d26850903e55a9f23f21d8534e8a48",
		.enc = "37fda3567bdbd628e88668c3c8d7e97d1d1253b6d4ea6d44c150f741f1bf4431",
		.aad = "436f756e742d30",
		.pt = "4265617574792069732074727574682c20747275746820626561757479",
		.ct = "090b7dc225419f7da9e8b460becfbb96a26c7964d79b8010d397fa838530a32a397b14f5"
		      "776db19ff5e57734e0",
	},
	{
		.kem = 0x0010,
		.info = "4f6465206f6e2061204772656369616e2055726e",
		.ikm_e = "4270e54ffd08d79d5928020af4686d8f6b7d35dbe470265f1f5aa22816ce860e",
		.ikm_r = "668b37171f1072f3cf12ea8a236a45df23fc13b82af3609ad1e354f6ef817550",
		.pk_r = "04fe8c19ce0905191ebc298a9245792531f26f0cece2460639e8bc39cb7f706a826a77"
			"9b"
			"4cf969b8a0e539c7f62fb3d30ad6aa8f80e30f1d128aafd68a2ce72ea0",
		.sk_r = "f3ce7fdae57e1a310d87f1ebbde6f328be0a99cdbcadf4d6589cf29de4b8ffd2",
		.enc = "04a92719c6195d5085104f469a8b9814d5838ff72b60501e2c4466e5e67b325ac98536d"
		       "7"
		       "b61a1af4b78e5b7f951c0900be863c403ce65c9bfcb9382657222d18c4",
		.aad = "436f756e742d30",
		.pt = "4265617574792069732074727574682c20747275746820626561757479",
		.ct = "518c46e6810fbc55362f7d5995b0f54339d93664ca44e5c74d0f289c4f7983b4781b193d"
		      "e04ad3319f177244de",
	},
};

#endif
