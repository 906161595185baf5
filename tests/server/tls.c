#include "tests/server/server.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

static X509 *sign(EVP_PKEY *key)
{
    X509 *cert = X509_new();
    X509_EXTENSION *names =
        X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "DNS:localhost,IP:127.0.0.1");
    X509_EXTENSION *ca = X509V3_EXT_conf_nid(NULL, NULL, NID_basic_constraints, "critical,CA:TRUE");
    if (!cert || !names || !ca)
        die("no memory for a certificate");
    X509_NAME *name = X509_get_subject_name(cert);
    bool made =
        X509_set_version(cert, 2) == 1 && ASN1_INTEGER_set(X509_get_serialNumber(cert), 1) == 1 &&
        X509_gmtime_adj(X509_getm_notBefore(cert), -3600) &&
        X509_gmtime_adj(X509_getm_notAfter(cert), 24 * 3600) && X509_set_pubkey(cert, key) == 1 &&
        X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"localhost", -1,
                                   -1, 0) == 1 &&
        X509_set_issuer_name(cert, name) == 1 && X509_add_ext(cert, names, -1) == 1 &&
        X509_add_ext(cert, ca, -1) == 1 && X509_sign(cert, key, EVP_sha256()) > 0;
    if (!made)
        die("cannot make a certificate");
    X509_EXTENSION_free(names);
    X509_EXTENSION_free(ca);
    return cert;
}

static FILE *create(const char *dir, const char *name)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "w");
    if (!f)
        die("cannot write %s", path);
    return f;
}

void tls_make(const char *dir)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    if (!key)
        die("cannot make a key");
    X509 *cert = sign(key);
    FILE *key_file = create(dir, "key.pem");
    FILE *cert_file = create(dir, "cert.pem");
    if (PEM_write_PrivateKey(key_file, key, NULL, NULL, 0, NULL, NULL) != 1 ||
        PEM_write_X509(cert_file, cert) != 1 || fclose(key_file) != 0 || fclose(cert_file) != 0)
        die("cannot write the certificate to %s", dir);
    X509_free(cert);
    EVP_PKEY_free(key);
}

SSL_CTX *tls_load(const char *cert, const char *key)
{
    SSL_CTX *tls = SSL_CTX_new(TLS_server_method());
    if (!tls || SSL_CTX_use_certificate_chain_file(tls, cert) != 1 ||
        SSL_CTX_use_PrivateKey_file(tls, key, SSL_FILETYPE_PEM) != 1)
        die("cannot use the certificate %s with the key %s", cert, key);
    SSL_CTX_set_mode(tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    return tls;
}

void tls_pin(SSL_CTX *tls, text *out)
{
    unsigned char *der = NULL;
    uint8_t hash[HASH];
    int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(SSL_CTX_get0_certificate(tls)), &der);
    if (len <= 0 || EVP_Digest(der, (size_t)len, hash, NULL, EVP_sha256(), NULL) != 1)
        die("cannot hash the public key");
    OPENSSL_free(der);
    text_put(out, "sha256//");
    text_base64(out, hash, sizeof hash);
}
